"""`python -m tests.soak --orders 20000 --seed 1 --rate 20`: exit code 1 where the verdict is wrong."""

import argparse
import sys
import tempfile
import time
from pathlib import Path

from tests.soak.run import soak


def main() -> None:
    asked = argparse.ArgumentParser(
        prog="python -m tests.soak", description="Orders under a storm, judged by the venue."
    )
    asked.add_argument("--orders", type=int, default=20_000)
    asked.add_argument("--seed", type=int, default=1)
    asked.add_argument("--rate", type=float, default=20.0, help="orders a second")
    asked.add_argument("--workers", type=int, default=2)
    asked.add_argument("--minutes", type=float, default=float("inf"), help="ask for no more after so long")
    asked.add_argument("--folder", type=Path, default=None, help="kept afterwards; else a temporary one")
    given = asked.parse_args()
    begun = time.monotonic()

    def say(text: str) -> None:
        print(text, flush=True)

    with tempfile.TemporaryDirectory() as temporary:
        verdict, storm, story = soak(
            given.folder or Path(temporary),
            orders=given.orders,
            seed=given.seed,
            rate=given.rate,
            workers=given.workers,
            until_s=given.minutes * 60,
            say=say,
        )
    say(f"seed {given.seed}, {time.monotonic() - begun:.0f} s, storm {dict(storm.struck)}")
    say(f"discrepancies opened on the way {dict(story.opened)}, triggers {dict(story.triggers)}")
    for why, count in story.doubts.most_common(20):
        say(f"  {count} x {why}")
    for line in verdict.lines():
        say(line)
    sys.exit(0 if verdict.right else 1)


if __name__ == "__main__":
    main()
