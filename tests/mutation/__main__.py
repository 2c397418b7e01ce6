"""`python -m tests.mutation [--sample 300] [--seed 1] [--only MODULE]`: would the tests notice a wrong rule of risk?

Draws so many mutants of `streams/accounts/risk` (0: all), runs the tests of accounts against each until one fails, and
prints the survivors. `explained.toml` lists those that nothing can notice, each with its reason; an entry that is no
mutant any more is told. Ends with 1 where fewer than 90 % are killed or a survivor is not explained.

Needs the extra `mutation`: `uv pip install -e '.[mutation]'`.
"""

import argparse
import importlib
import os
import random
import sys
import time
import tomllib
from pathlib import Path

import pytest

from tests.mutation.mutants import Change, Mutant, mutants_of
from tests.mutation.trial import QUIET, Collected, Outcome, imported_anew, is_inside_functions
from tests.paths import ROOT

PACKAGE = "streams.accounts.risk"
TESTS = tuple(
    f"tests/streams/accounts/test_{name}.py"
    for name in (
        "checks", "check_edges", "sizing", "portfolio", "stops", "flow", "quotas", "controls", "room", "unknown",
        "reservations",
    )
)  # fmt: skip
"""Those that kill most come first; what only tests orders and the ledger is left out."""
EXPLAINED = Path(__file__).with_name("explained.toml")
SHARE = 0.9
ANEW_S = 600.0
WARM = ("numpy", "msgspec", "confluent_kafka", "fastavro", "httpx", "connectors.embedded.kafka")
"""What every child would import and none may mutate; what pytest rewrites it imports itself."""


def main(words: list[str]) -> int:
    """Print the survivors and the score."""
    asked = argparse.ArgumentParser(prog="python -m tests.mutation", description=__doc__)
    asked.add_argument("--sample", type=int, default=300, help="how many mutants; 0 for all")
    asked.add_argument("--seed", type=int, default=1)
    asked.add_argument("--only", default="", help="name of one module of the package")
    given = asked.parse_args(words)
    every = [mutant for path in _paths() for mutant in mutants_of(path, f"{PACKAGE}.{path.stem}")]
    explained = reasons()
    lines = {(change.module, change.before.split("\n")[0]) for change in explained}
    stale = set(explained) - {one.change for one in every if (one.module, one.original) in lines}
    chosen = [mutant for mutant in every if given.only in ("", mutant.path.stem)]
    if given.sample and given.sample < len(chosen):
        chosen = random.Random(given.seed).sample(chosen, given.sample)
    os.environ["QL_PROPERTY_CASES"] = "50"
    begun = time.monotonic()
    survivors = _survivors(chosen)
    if survivors is None:
        print("the tests fail without any mutant", file=sys.stderr)
        return 2
    return _told(len(every), len(chosen), survivors, explained, stale, time.monotonic() - begun)


def reasons() -> dict[Change, str]:
    """Why nothing can notice a change, for those of which somebody has said so."""
    listed = tomllib.loads(EXPLAINED.read_text(encoding="utf-8")).get("survivor", [])
    return {
        Change(f"{PACKAGE}.{one['module']}", one["inside"], one["before"], one["after"]): one["reason"]
        for one in listed
    }


def _paths() -> list[Path]:
    return sorted(path for path in (ROOT / PACKAGE.replace(".", "/")).glob("*.py") if path.stem != "__init__")


def _survivors(chosen: list[Mutant]) -> list[Mutant] | None:
    """Those that no test notices; None where the tests notice what is not there.

    Raises RuntimeError where the trials ended before the last mutant: what was not tried was not killed.
    """
    inside = [is_inside_functions(mutant) for mutant in chosen]
    survivors: list[Mutant] = []
    done = 0

    def told(mutant: Mutant, outcome: Outcome) -> None:
        nonlocal done
        done += 1
        if outcome is Outcome.SURVIVED:
            survivors.append(mutant)
            print(f"survived: {mutant.diff}", flush=True)
        if done % 25 == 0:
            print(f"{done} of {len(chosen)}: {len(survivors)} survived", file=sys.stderr, flush=True)

    for name in WARM:
        importlib.import_module(name)
    for mutant in (one for one, is_inside in zip(chosen, inside, strict=True) if not is_inside):
        told(mutant, imported_anew(mutant, TESTS, ANEW_S))
    collected = Collected([one for one, is_inside in zip(chosen, inside, strict=True) if is_inside], told)
    pytest.main([*QUIET, *TESTS], plugins=[collected])
    if collected.sound and done < len(chosen):
        raise RuntimeError(f"only {done} of {len(chosen)} mutants were tried; the reason is above")
    return survivors if collected.sound else None


def _told(
    every: int, tried_: int, survivors: list[Mutant], explained: dict[Change, str], stale: set[Change], seconds: float
) -> int:
    unexplained = [mutant for mutant in survivors if mutant.change not in explained]
    for mutant in survivors:
        if mutant.change in explained:
            print(f"explained: {mutant.diff}    {explained[mutant.change]}")
    for mutant in unexplained:
        print(f"NOT EXPLAINED: {mutant.diff}")
    for change in sorted(stale):
        print(f"explained, but no mutant any more: {change}")
    killed = tried_ - len(survivors)
    print(
        f"{tried_} of {every} mutants in {seconds:.0f} s: {killed} killed ({killed / tried_:.1%}), "
        f"{len(survivors)} survived, {len(unexplained)} of them not explained"
    )
    return 0 if killed >= SHARE * tried_ and not unexplained and not stale else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
