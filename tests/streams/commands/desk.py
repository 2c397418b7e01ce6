"""A desk for commands: servers in a folder, an environment set up, an account that may trade."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from decimal import Decimal
from pathlib import Path
from typing import Any

from schemas.control import AccountOpened, CashMovement, Mode, SizingMethod
from schemas.record import Record
from schemas.reference import FeeSchedule
from schemas.risk import LimitChange
from streams.accounts.risk.limits import standard_limits
from streams.commands.connections import Connection, connect
from streams.runtime.source import Source
from streams.settings import load
from tests.builders import instrument, mark, tick

COMMAND = str(Path(sys.executable).parent / "quantumleap")
ENVIRON = {name: value for name, value in os.environ.items() if not name.startswith("QL_")}
DESK = {
    "QL_KAFKA_PORT": "0",
    "QL_REGISTRY_PORT": "0",
    "QL_CLICKHOUSE_PORT": "0",
    "QL_ENVIRONMENT": "desk",
    "QL_MODE": "paper",
}
NOTHING: Mapping[str, str] = {}


class Desk:
    """A folder whose servers are up, and an environment `desk` for paper trading."""

    def __init__(self, folder: Path):
        self.folder = folder
        self.variables = {**DESK}
        self._found: Connection | None = None

    def ask(self, *words: str, code: int = 0, but: Mapping[str, str] = NOTHING) -> subprocess.CompletedProcess[str]:
        """Run a command as a user does, and hold it to its exit code. `but`: variables that differ from the desk's."""
        ended = subprocess.run(
            [COMMAND, *words], cwd=self.folder, env=ENVIRON | self.variables | dict(but), capture_output=True,
            text=True, timeout=300, check=False,
        )  # fmt: skip
        assert ended.returncode == code, f"{words} ended with {ended.returncode}: {ended.stdout}\n{ended.stderr}"
        return ended

    def json(self, *words: str, code: int = 0, but: Mapping[str, str] = NOTHING) -> Any:
        """What a command prints as JSON."""
        return json.loads(self.ask(*words, "--json", code=code, but=but).stdout)

    def begun(self, *words: str) -> "subprocess.Popen[str]":
        """A process that goes on; the caller waits for what it says (`until`) and ends it (`stopped`)."""
        return subprocess.Popen(
            list(words), cwd=self.folder, env=ENVIRON | self.variables, stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT, text=True,
        )  # fmt: skip

    def connection(self) -> Connection:
        """The environment, for a test that reads and writes by itself."""
        if self._found is None:
            environ = self.variables | {"QL_FOLDER": str(self.folder / ".quantumleap")}
            self._found = connect(load({}, environ=environ, file=None).settings)
        return self._found


@contextmanager
def open_desk(folder: Path) -> Iterator[Desk]:
    """Servers up and environment made; all down afterwards."""
    desk = Desk(folder)
    desk.ask("up")
    try:
        desk.ask("setup")
        yield desk
    finally:
        desk.ask("down")


def until(line: str, process: "subprocess.Popen[str]") -> list[str]:
    """The lines that the process says up to the one that holds this text."""
    assert process.stdout is not None
    said = []
    for told in process.stdout:
        said.append(told)
        if line in told:
            return said
    raise AssertionError(f"it ended before it said {line!r}: {''.join(said)}")


def stopped(process: "subprocess.Popen[str]") -> int:
    """Ask the process to end; its exit code."""
    process.terminate()
    process.communicate(timeout=60)
    return process.returncode


def account_records(now_us: int, account_id: str = "A") -> list[tuple[str, Record]]:
    """Role and record of all that makes one account able to trade WTI at 50."""
    return [
        ("reference", instrument(venue="PAPER", event_time_us=now_us)),
        ("reference", FeeSchedule(event_time_us=now_us, venue="PAPER", version=1, rate=Decimal("0.0002"),
                                  per_unit=Decimal(0), minimum=Decimal(1), currency="USD")),
        ("control", AccountOpened(event_time_us=now_us, account_id=account_id, request_id=f"open-{account_id}",
                                  base_currency="USD", venue="PAPER", mode=Mode.PAPER,
                                  sizing=SizingMethod.FIXED_FRACTION, author="ann")),
        ("control", CashMovement(event_time_us=now_us, account_id=account_id, movement_id=f"deposit-{account_id}",
                                 currency="USD", amount=Decimal(100_000), reason="deposit")),
        ("control", LimitChange(event_time_us=now_us, account_id=account_id, request_id=f"limits-{account_id}",
                                limits=standard_limits(Decimal(100_000)), author="ann", reason="test",
                                effective_at_us=now_us)),
        ("clock", tick(now_us)),
        ("relay", mark(50, at_us=now_us)),
    ]  # fmt: skip


def write(found: Connection, records: list[tuple[str, Record]]) -> None:
    """Write each record in its role, durably, in this order."""
    for role, record in records:
        source = Source(found.cluster, found.codec, found.environment, role)
        source.write(record)
        source.close()


def now_us() -> int:
    """Wall time."""
    return time.time_ns() // 1000
