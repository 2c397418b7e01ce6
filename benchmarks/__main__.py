"""All benchmarks, one after another: `python -m benchmarks [NAME ...]`.

Each is a module of this package that prints one JSON object and ends with 1 when a target is missed. Results go to
`benchmarks/results/NAME.json`, and all of them to `docs/benchmarks.md`. A missed target is said and does not stop the
others.
"""

import importlib
import json
import pkgutil
import subprocess
import sys
from pathlib import Path

import benchmarks

RESULTS = Path(__file__).parent / "results"
PAGE = Path(__file__).parent.parent / "docs" / "benchmarks.md"
HEAD = """# Benchmarks

Written by `python -m benchmarks`. Every promise has a file in `benchmarks/`; its limit or peer is measured in the same
run, because machines differ and are noisy: read the ratios, not the figures. `met` says whether the target was met.
"""


def names() -> list[str]:
    """Every benchmark there is."""
    return sorted(
        module.name for module in pkgutil.iter_modules(benchmarks.__path__) if not module.name.startswith("_")
    )


def main(asked: list[str]) -> int:
    unknown = set(asked) - set(names())
    if unknown:
        print(f"no such benchmark: {', '.join(sorted(unknown))}; there are {', '.join(names())}", file=sys.stderr)
        return 2
    RESULTS.mkdir(exist_ok=True)
    missed = []
    for name in asked or names():
        print(f"{name} ...", file=sys.stderr, flush=True)
        ended = subprocess.run(
            [sys.executable, "-m", f"benchmarks.{name}"], stdout=subprocess.PIPE, text=True, check=False
        )
        try:
            result = json.loads(ended.stdout)
        except json.JSONDecodeError:
            print(f"{name} printed no result and ended with {ended.returncode}", file=sys.stderr)
            missed.append(name)
            continue
        (RESULTS / f"{name}.json").write_text(json.dumps(result, indent=1) + "\n")
        if ended.returncode:
            missed.append(name)
        print(f"{name} {'missed a target' if ended.returncode else 'met its targets'}", file=sys.stderr, flush=True)
    PAGE.write_text(page())
    return 1 if missed else 0


def page() -> str:
    """The page of all results that are kept."""
    parts = [HEAD]
    for path in sorted(RESULTS.glob("*.json")):
        module = importlib.import_module(f"benchmarks.{path.stem}")
        promise = (module.__doc__ or "").split("\n\n", maxsplit=1)[0].replace("\n", " ")
        parts.append(f"## {path.stem}\n\n{promise}\n\n```json\n{path.read_text().strip()}\n```\n")
    return "\n".join(parts)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
