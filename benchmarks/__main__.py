"""All benchmarks, one after another: `python -m benchmarks [NAME ...]`.

Each is a module of this package that prints one JSON object and ends with 1 when a target is missed. Results go to
`benchmarks/results/NAME.json`. A missed target is said and does not stop the others.
"""

import json
import pkgutil
import subprocess
import sys
from pathlib import Path

import benchmarks

RESULTS = Path(__file__).parent / "results"


def names() -> list[str]:
    """Every benchmark there is."""
    return sorted(module.name for module in pkgutil.iter_modules(benchmarks.__path__) if module.name != "__main__")


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
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
