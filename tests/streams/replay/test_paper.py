"""A paper run: its limits, and what it refuses before any server is asked."""

from decimal import Decimal
from pathlib import Path

import msgspec
import pytest

from schemas.control import Mode
from streams.accounts.risk.limits import standard_limits
from streams.replay.order import Order
from streams.replay.paper import limits
from streams.replay.worker import settings_of
from tests.streams.commands.test_command_line import quantumleap

ORDER = Order(
    data="oil", imported="", from_us=0, until_us=1, strategies=[], cash="1", environment="test",
    bootstrap_servers="127.0.0.1:1", registry_url="", clickhouse_url="",
)  # fmt: skip


def test_a_day_may_lose_what_the_whole_run_may_and_the_other_limits_are_the_standard_ones() -> None:
    found, standard = ({one.name: one.value for one in some(Decimal(10**6))} for some in (limits, standard_limits))
    assert found.pop("daily_loss_max") == standard["drawdown_max"]
    standard.pop("daily_loss_max")
    assert found == standard


def test_a_run_on_paper_is_no_continuation_of_a_replay() -> None:
    on_paper = msgspec.structs.replace(ORDER, mode=Mode.PAPER)
    assert on_paper.continues(on_paper)
    assert not on_paper.continues(ORDER)
    assert not ORDER.continues(on_paper)


def test_an_order_of_before_there_was_paper_is_a_replay() -> None:
    told = msgspec.to_builtins(ORDER)
    del told["mode"]
    assert msgspec.convert(told, Order).mode is Mode.REPLAY


def test_a_worker_of_a_paper_run_trades_on_paper_whatever_brokers_the_settings_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("QL_BROKERS", '{"ALPACA": {"kind": "alpaca"}}')
    found = settings_of(msgspec.structs.replace(ORDER, mode=Mode.PAPER), tmp_path, 1)
    assert found.brokers == {}
    assert found.mode is Mode.PAPER


@pytest.mark.parametrize(
    ("words", "code", "says"),
    [
        (("--mode", "live"), 3, "never trades live"),
        (("--mode", "dry"), 2, "use replay or paper"),
        (("--mode", "paper", "--speed", "max"), 2, "too fast for wall time"),
        (("--mode", "paper", "--speed", "51"), 2, "at most 50"),
        (("--mode", "paper", "--speed", "0"), 2, "is not a speed"),
        (("--speed", "-1"), 2, "is not a speed"),
    ],
)
def test_a_run_that_cannot_be_is_refused_before_any_server_is_started(
    tmp_path: Path, words: tuple[str, ...], code: int, says: str
) -> None:
    ended = quantumleap("run", *words, cwd=tmp_path)
    assert ended.returncode == code, ended.stderr
    assert says in ended.stderr
    assert not list(tmp_path.iterdir())
