"""A trial: a child process in which one module is the mutant, and the tests, until the first that fails."""

import importlib.abc
import importlib.machinery
import importlib.util
import os
import signal
import sys
import time
from collections.abc import Sequence
from enum import StrEnum
from types import CodeType, ModuleType
from typing import NoReturn

import pytest

from tests.mutation.mutants import Mutant

QUIET = ("-x", "-q", "--no-header", "-p", "no:cacheprovider", "--hypothesis-seed=1")


class Outcome(StrEnum):
    """What the tests said of a mutant. Whoever hangs was noticed."""

    KILLED = "killed"
    HANGS = "killed, by time"
    SURVIVED = "survived"


class Impostor(importlib.abc.MetaPathFinder, importlib.abc.InspectLoader):
    """Gives the mutant to whoever imports its module."""

    def __init__(self, mutant: Mutant):
        self._mutant = mutant

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        if fullname != self._mutant.module:
            return None
        return importlib.util.spec_from_loader(fullname, self)

    def get_source(self, fullname: str) -> str:
        return self._mutant.source

    def get_code(self, fullname: str) -> CodeType:
        return compile(self._mutant.source, str(self._mutant.path), "exec", dont_inherit=True)


def tried(mutant: Mutant | None, tests: Sequence[str], seconds: float) -> Outcome:
    """What becomes of the mutant, or of the code as it is, in a process of its own."""
    child = os.fork()
    if child == 0:
        _live(mutant, tests)
    give_up = time.monotonic() + seconds
    while time.monotonic() < give_up:
        ended, status = os.waitpid(child, os.WNOHANG)
        if ended:
            return Outcome.SURVIVED if os.waitstatus_to_exitcode(status) == 0 else Outcome.KILLED
        time.sleep(0.02)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    return Outcome.HANGS


def _live(mutant: Mutant | None, tests: Sequence[str]) -> NoReturn:
    """Be the child: never returns."""
    code = 1
    try:
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, 1)
        os.dup2(nowhere, 2)
        if mutant is not None:
            assert mutant.module not in sys.modules, "the parent imports nothing that is to be mutated"
            sys.meta_path.insert(0, Impostor(mutant))
        code = int(pytest.main([*QUIET, *tests]))
    finally:
        os._exit(code)
