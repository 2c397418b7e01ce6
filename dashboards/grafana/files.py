"""Generated files: what Grafana and Prometheus read, below `dashboards`."""

import json
from pathlib import Path

from dashboards.grafana import alerts
from dashboards.grafana.board import as_json
from dashboards.grafana.designs import BOARDS
from dashboards.objectives import rules_file

FOLDER = Path(__file__).resolve().parent.parent
BOARD_FOLDER = "grafana/boards"


def texts() -> dict[str, str]:
    """Every generated file: its path below `dashboards`, and its text."""
    boards = {f"{BOARD_FOLDER}/{board.uid}.json": as_json(board) for board in BOARDS}
    return {
        **boards,
        "grafana/provisioning/alerting/business.json": json.dumps(alerts.file(), indent=1, ensure_ascii=False) + "\n",
        "prometheus/rules/objectives.yml": rules_file(),
    }


def write(folder: Path = FOLDER) -> list[Path]:
    """Write what differs, remove boards that are no more; return what changed."""
    wanted = texts()
    changed = []
    for name, text in wanted.items():
        path = folder / name
        if not path.exists() or path.read_text() != text:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
            changed.append(path)
    for path in (folder / BOARD_FOLDER).glob("*.json"):
        if f"{BOARD_FOLDER}/{path.name}" not in wanted:
            path.unlink()
            changed.append(path)
    return changed
