"""What Grafana reads from files: boards, alerts, data sources and where they lie."""

from pathlib import Path

from dashboards.grafana.board import as_json
from dashboards.grafana.designs import BOARDS

FOLDER = Path(__file__).resolve().parent


def texts() -> dict[str, str]:
    """Every generated file: its path below `dashboards/grafana`, and its text."""
    return {f"boards/{board.uid}.json": as_json(board) for board in BOARDS}


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
    for path in (folder / "boards").glob("*.json"):
        if f"boards/{path.name}" not in wanted:
            path.unlink()
            changed.append(path)
    return changed
