"""What in the repository is generated from the code: file by file, so that `docs` writes it and a test compares it."""

import json
import re
from collections.abc import Iterator
from pathlib import Path

README_REGION = re.compile(r"(<!-- flow: [^>]*-->\n).*?(<!-- /flow -->)", re.DOTALL)
ROOT = Path(__file__).resolve().parents[2]


def generated(root: Path = ROOT) -> Iterator[tuple[Path, str]]:
    """Every generated file of the repository with the text that it should have. Needs a checkout."""
    from connectors.kafka.asyncapi import asyncapi  # noqa: PLC0415 - help must be quick
    from connectors.kafka.diagram import flow_diagram, topic_table  # noqa: PLC0415

    readme = root / "README.md"
    flow = f"```mermaid\n{flow_diagram().strip()}\n```\n"
    yield readme, README_REGION.sub(lambda found: found[1] + flow + found[2], readme.read_text())
    title = "# Topics\n\nWritten by `quantumleap docs` from `schemas/topics.py`; * is broadcast."
    yield root / "docs" / "topics.md", f"{title}\n\n{topic_table().strip()}\n"
    document = asyncapi("paper", "0.1.0", "localhost:9092")
    yield root / "docs" / "asyncapi.json", json.dumps(document, indent=1, ensure_ascii=False) + "\n"


def differing(root: Path = ROOT) -> list[Path]:
    """Generated files that are not what the code says."""
    return [path for path, text in generated(root) if not path.exists() or path.read_text() != text]
