"""Generated files: what Grafana and Prometheus read, below `dashboards`."""

import json
from pathlib import Path

from dashboards import channels
from dashboards.config_maps import config_maps
from dashboards.grafana import alerts
from dashboards.grafana.board import as_json
from dashboards.grafana.designs import BOARDS
from dashboards.objectives import rules_file

FOLDER = Path(__file__).resolve().parent.parent
BOARD_FOLDER = "grafana/boards"
WRITTEN_BY_HAND = ("prometheus/rules/platform.yml",)
"""Files that are not generated, and that clusters need too."""


def texts() -> dict[str, str]:
    """Every generated file: its path below `dashboards`, and its text."""
    boards = {f"{BOARD_FOLDER}/{board.uid}.json": as_json(board) for board in BOARDS}
    alerting = {"business": alerts.file(), "contact-points": channels.contact_points(), "policies": channels.policies()}
    made = {
        **boards,
        **{f"grafana/provisioning/alerting/{name}.json": _json(found) for name, found in alerting.items()},
        "prometheus/rules/objectives.yml": rules_file(),
        # YAML reads JSON; a comment could not say more than where it is generated.
        "prometheus/alertmanager.yml": _json(channels.alertmanager()),
    }
    rules = {path: (FOLDER / path).read_text() for path in WRITTEN_BY_HAND}
    return {**made, "kubernetes/configmaps.yaml": config_maps(made | rules, alerts.FOLDER)}


def _json(found: object) -> str:
    return json.dumps(found, indent=1, ensure_ascii=False) + "\n"


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
