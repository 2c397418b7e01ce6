"""Trials: child processes in which one rule is wrong, and the tests, until the first that fails.

Most changes are inside a function. For these the tests are collected once, and each child puts the changed code into
the function before it runs them. What changes a table or a class is imported anew, by a child that starts before
anything of ours was imported: slower, and right for every change.
"""

import importlib.abc
import importlib.machinery
import importlib.util
import inspect
import os
import signal
import sys
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from enum import StrEnum
from functools import partial
from types import CodeType, FunctionType, ModuleType
from typing import Any, NoReturn

import pytest

from tests.mutation.mutants import Mutant

QUIET = ("-x", "-q", "--no-header", "--capture=no", "-p", "no:cacheprovider", "--hypothesis-seed=1")


BROKEN = 3


class Outcome(StrEnum):
    """What the tests said of a mutant. Whoever hangs was noticed."""

    KILLED = "killed"
    HANGS = "killed, by time"
    SURVIVED = "survived"


Told = Callable[[Mutant, Outcome], None]


def is_inside_functions(mutant: Mutant) -> bool:
    """Whether the code of functions is all that the mutant changes."""
    before, after = _compiled(mutant.path.read_text(encoding="utf-8"), mutant), _compiled(mutant.source, mutant)
    return _outside(before) == _outside(after)


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
        return _compiled(self._mutant.source, self._mutant)


def imported_anew(mutant: Mutant, tests: Sequence[str], seconds: float) -> Outcome:
    """What becomes of a mutant whose module nobody has imported yet."""

    def run() -> bool:
        assert mutant.module not in sys.modules, "the parent imports nothing that is to be mutated"
        sys.meta_path.insert(0, Impostor(mutant))
        return pytest.main([*QUIET, *tests]) == pytest.ExitCode.OK

    return _outcome(run, seconds)


class Collected:
    """For pytest, as a plugin: runs the collected tests once for each mutant instead of once.

    sound: whether they pass without any
    """

    def __init__(self, mutants: Sequence[Mutant], told: Told):
        self.sound = False
        self._mutants = mutants
        self._told = told

    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        begun = time.monotonic()
        self.sound = _outcome(lambda: _pass(session), float("inf")) is Outcome.SURVIVED
        bound_s = 30 + 5 * (time.monotonic() - begun)
        for mutant in self._mutants if self.sound else ():
            self._told(mutant, _outcome(partial(_changed, mutant, session), bound_s))
        return True


def _changed(mutant: Mutant, session: pytest.Session) -> bool:
    """Put the changed code into the functions of the module that was imported; whether all tests pass with it."""
    changed = {one.co_qualname: one for one in _codes(_compiled(mutant.source, mutant))}
    for function in _functions(sys.modules[mutant.module]):
        function.__code__ = changed[function.__code__.co_qualname]
    return _pass(session)


def _pass(session: pytest.Session) -> bool:
    """Run the tests until one fails; whether all passed."""
    for item, following in zip(session.items, [*session.items[1:], None], strict=True):
        item.config.hook.pytest_runtest_protocol(item=item, nextitem=following)
        if session.testsfailed:
            return False
    return True


def _outcome(run: Callable[[], bool], seconds: float) -> Outcome:
    """What `run` says in a process of its own, where it may change whatever it likes."""
    child = os.fork()
    if child == 0:
        _live(run)
    give_up = time.monotonic() + seconds
    while time.monotonic() < give_up:
        ended, status = os.waitpid(child, os.WNOHANG)
        if ended:
            code = os.waitstatus_to_exitcode(status)
            if code == BROKEN:
                raise RuntimeError("a trial broke before any test could tell; see above")
            return Outcome.SURVIVED if code == 0 else Outcome.KILLED
        time.sleep(0.01)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    return Outcome.HANGS


def _live(run: Callable[[], bool]) -> NoReturn:
    told = os.dup(2)
    code = BROKEN
    try:
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, 1)
        os.dup2(nowhere, 2)
        code = 0 if run() else 1
    except Exception:
        os.write(told, traceback.format_exc().encode())
        raise
    finally:
        os._exit(code)


def _functions(module: ModuleType) -> Iterator[FunctionType]:
    """Every function of the module and every method of its classes, without its decorators."""
    spaces = [vars(module), *(vars(one) for one in vars(module).values() if inspect.isclass(one))]
    for found in (one for space in spaces for one in space.values()):
        inner: Any = found.fget if isinstance(found, property) else getattr(found, "__func__", found)
        inner = inspect.unwrap(inner) if callable(inner) else inner
        if isinstance(inner, FunctionType) and inner.__code__.co_filename == module.__file__:
            yield inner


def _codes(code: CodeType) -> Iterator[CodeType]:
    """The code of every function at the top of a module or in a class there."""
    for inner in (one for one in code.co_consts if isinstance(one, CodeType)):
        if inner.co_flags & inspect.CO_NEWLOCALS:
            yield inner
        else:
            yield from _codes(inner)


def _outside(code: CodeType) -> tuple[object, ...]:
    """All of a module that runs when it is imported: its own code and that of its classes."""
    inner = [one for one in code.co_consts if isinstance(one, CodeType)]
    plain = tuple(repr(one) for one in code.co_consts if not isinstance(one, CodeType))
    classes = tuple(_outside(one) for one in inner if not one.co_flags & inspect.CO_NEWLOCALS)
    lambdas = tuple(one for one in inner if one.co_name.startswith("<"))
    return (code.co_code, code.co_names, plain, classes, lambdas)


def _compiled(source: str, mutant: Mutant) -> CodeType:
    return compile(source, str(mutant.path), "exec", dont_inherit=True)
