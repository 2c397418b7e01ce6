"""The committed boards, as the tests read them."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from tests.paths import ROOT

FOLDER = ROOT / "dashboards" / "grafana" / "boards"
CLICKHOUSE = "grafana-clickhouse-datasource"


def committed() -> dict[str, dict[str, Any]]:
    """Every board by its uid."""
    boards = (json.loads(path.read_text()) for path in sorted(FOLDER.glob("*.json")))
    return {board["uid"]: board for board in boards}


@dataclass(frozen=True, slots=True)
class Asked:
    """One question of one panel, annotation or variable."""

    board: str
    panel: dict[str, Any]
    target: dict[str, Any]

    @property
    def name(self) -> str:
        """As tests are named by it."""
        return f"{self.board}: {self.panel['title']} {self.target['refId']}"


def asked(kind: str) -> Iterator[Asked]:
    """Every question of every panel to data sources of this kind."""
    for uid, board in committed().items():
        for panel in board["panels"]:
            for target in panel.get("targets", ()):
                if target["datasource"]["type"] == kind:
                    yield Asked(uid, panel, target)
