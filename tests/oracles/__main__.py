"""Run oracle files through the product and print one JSON object.

    python -m tests.oracles FILE...

Prints cases, agreeing, differing (each with file, case, expected, got and why) and the counts by file. Ends with 0 when
every case agrees, 1 when one differs, 2 when a file cannot be read or is of no known format.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tests.oracles.adapters import ADAPTERS, Document, Outcome


class UnreadableFile(Exception):
    """Not there, not JSON, or not of a known format."""


def main(paths: Sequence[str]) -> int:
    """Print the verdict on every file that can be read; return the exit code."""
    if not paths:
        print("usage: python -m tests.oracles FILE...", file=sys.stderr)
        return 2
    cases = agreeing = 0
    differing: list[dict[str, Any]] = []
    by_file: dict[str, dict[str, int]] = {}
    unreadable: list[str] = []
    for path in paths:
        try:
            outcomes = run(path)
        except UnreadableFile as refusal:
            unreadable.append(str(refusal))
            continue
        wrong = [outcome for outcome in outcomes if outcome.why is not None]
        cases += len(outcomes)
        agreeing += len(outcomes) - len(wrong)
        by_file[path] = {"cases": len(outcomes), "agreeing": len(outcomes) - len(wrong)}
        differing += [
            {"file": path, "case": one.case, "expected": one.expected, "got": one.got, "why": one.why} for one in wrong
        ]
    verdict = {"cases": cases, "agreeing": agreeing, "differing": differing, "files": by_file, "unreadable": unreadable}
    print(json.dumps(verdict, indent=1))
    for refusal_text in unreadable:
        print(refusal_text, file=sys.stderr)
    return 2 if unreadable else int(bool(differing))


def run(path: str) -> list[Outcome]:
    """The outcome of every case in a file. Raises UnreadableFile."""
    document = read(path)
    try:
        return list(ADAPTERS[document["format"]](document))
    except (KeyError, TypeError, AttributeError) as gap:
        raise UnreadableFile(f"{path}: not as its format {document['format']!r} says: {gap!r}") from gap


def read(path: str) -> Document:
    """A JSON object whose format has an adapter. Raises UnreadableFile."""
    try:
        document = json.loads(Path(path).read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, json.JSONDecodeError) as cause:
        raise UnreadableFile(f"{path}: cannot be read: {cause}") from cause
    if not isinstance(document, dict) or document.get("format") not in ADAPTERS:
        found = document.get("format") if isinstance(document, dict) else None
        raise UnreadableFile(f"{path}: format {found!r} is none of {', '.join(ADAPTERS)}")
    return document


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
