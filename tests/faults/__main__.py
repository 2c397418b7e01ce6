"""`python -m tests.faults --faults 200 --seed 1`: a sitting of real faults, and the verdict of the topics."""

import argparse
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from tests.faults.sitting import sit
from tests.paths import ROOT


def main() -> int:
    """Sit, print what was done by kind, and say whether anything was lost, doubled or changed."""
    parser = argparse.ArgumentParser(prog="python -m tests.faults", description=__doc__)
    parser.add_argument("--faults", type=int, default=200, help="at least so many")
    parser.add_argument("--seed", type=int, default=1, help="draws the history")
    parser.add_argument("--brokers", type=int, choices=(1, 3), default=1)
    parser.add_argument("--keep", type=Path, help="folder for logs; a temporary one otherwise")
    asked = parser.parse_args()
    began = time.monotonic()
    with tempfile.TemporaryDirectory() as temporary:
        folder = asked.keep or Path(temporary)
        folder.mkdir(parents=True, exist_ok=True)
        told = sit(folder, asked.seed, asked.faults, asked.brokers, say=lambda line: print(line, flush=True))
    for kind, count in sorted(told.faults.items()):
        print(f"  {count:4} {kind}")
    for code, count in sorted(told.ended_themselves.items()):
        print(f"  {count:4} workers ended by themselves with {code} and were started again")
    print(
        f"seed {told.seed}, {asked.brokers} broker(s), commit {commit()}: {told.count} faults, "
        f"{told.chapters} chapters, {told.payments} payments, {time.monotonic() - began:.0f} s; "
        f"records flowed again after at most {told.longest_flow_s:.1f} s"
    )
    print("\n".join(["WRONG", *told.wrong]) if told.wrong else "nothing lost, nothing twice, states are the fold")
    return 1 if told.wrong else 0


def commit() -> str:
    """Which code was judged; `+` where files differ from it."""
    named = subprocess.run(
        ["git", "describe", "--always", "--dirty=+", "--exclude=*"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    return named.stdout.strip() or "unknown"


if __name__ == "__main__":
    sys.exit(main())
