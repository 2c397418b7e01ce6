"""What execution knows beside its commands, and how it knows it again."""

from pathlib import Path

import pytest
from msgspec.structs import replace

from schemas.codec import Codec
from schemas.control import AccountOpened, Mode, SizingMethod
from schemas.execution import BrokerPositions, NotSent, NotSentReason
from schemas.market import MarkBatch
from schemas.record import Record
from streams.execution.handler import Execution
from streams.execution.knowledge import TOLD, Knowledge, Notebook, Sieve
from streams.execution.outcomes import objection
from tests.builders import instrument, mark, tick
from tests.connectors.brokers.orders import buy

CODEC = Codec.local()


def knowing(learned: list[Record] | None = None) -> Knowledge:
    told: list[Record] = [] if learned is None else learned
    return Knowledge(Execution({}, Mode.PAPER), told.append)


def opened(account_id: str = "A") -> AccountOpened:
    return AccountOpened(
        event_time_us=1, account_id=account_id, request_id="o", base_currency="USD", venue="V", mode=Mode.PAPER,
        sizing=SizingMethod.FIXED_FRACTION, author="ann",
    )  # fmt: skip


def held(cursor: str) -> BrokerPositions:
    return BrokerPositions(
        event_time_us=1, account_id="A", venue="V", request_id=cursor, positions=[], fills_cursor=cursor
    )


def test_records_that_nobody_wants_are_passed_over_by_their_schema_alone() -> None:
    sieve = Sieve(CODEC, TOLD)
    assert sieve.decode(CODEC.encode(mark(50))) is None
    # Bytes behind a schema id that is passed over are not looked at.
    assert sieve.decode(CODEC.encode(mark(50))[:7]) is None
    assert sieve.decode(CODEC.encode(tick())) == tick()
    assert MarkBatch not in TOLD


def test_an_account_trades_at_its_venue_in_its_mode_only() -> None:
    knowledge = knowing()
    knowledge.take(opened())
    assert knowledge.opened("A", "V", Mode.PAPER)
    assert not knowledge.opened("A", "W", Mode.PAPER)
    assert not knowledge.opened("A", "V", Mode.LIVE)
    assert not knowledge.opened("B", "V", Mode.PAPER)
    assert knowledge.without_limits(["A", "B"]) == ["A"]


def test_a_switch_that_cannot_be_read_halts_everything() -> None:
    execution = Execution({}, Mode.PAPER)
    learned: list[Record] = []
    knowledge = Knowledge(execution, learned.append)
    knowledge.switch({}, unreadable=1)
    said = objection(replace(buy("a"), mode=Mode.PAPER), execution._standing)
    assert said is not None
    assert said.reason is NotSentReason.KILLED


def test_what_was_known_is_known_again_and_reading_goes_on_where_it_was(tmp_path: Path) -> None:
    learned: list[Record] = []
    before, again = knowing(), knowing(learned)
    said: list[Record] = [opened(), instrument("OLD"), instrument("WTI"), held("1"), held("2"), tick()]
    for record in said:
        before.take(record)
    notebook = Notebook(tmp_path / "known.json", CODEC)
    notebook.keep({0: 7, 1: 9}, before.newest.values())
    places, records = notebook.recall({0: 0, 1: 0}, {0: 7, 1: 12})
    assert places == {0: 7, 1: 9}
    for record in records:
        again.take(record)
    assert again.opened("A", "V", Mode.PAPER)
    assert again.cursors == {"A": "2"}
    assert {getattr(record, "instrument_id", "") for record in learned} == {"OLD", "WTI"}


@pytest.mark.parametrize(("lows", "ends"), [({0: 0}, {0: 6}), ({0: 8}, {0: 20}), ({0: 0, 1: 0}, {0: 20, 1: 20})])
def test_a_notebook_of_another_log_is_as_none(lows: dict[int, int], ends: dict[int, int], tmp_path: Path) -> None:
    notebook = Notebook(tmp_path / "known.json", CODEC)
    notebook.keep({0: 7}, [opened()])
    assert notebook.recall(lows, ends) == (lows, [])


@pytest.mark.parametrize("text", ["", "{", "[]", '{"places": {"0": 1}, "records": ["zz"]}'])
def test_a_notebook_that_cannot_be_read_is_as_none(text: str, tmp_path: Path) -> None:
    (tmp_path / "known.json").write_text(text)
    assert Notebook(tmp_path / "known.json", CODEC).recall({0: 3}, {0: 9}) == ({0: 3}, [])


def test_what_any_worker_recorded_as_late_is_known_to_all() -> None:
    execution = Execution({}, Mode.PAPER)
    knowledge = Knowledge(execution, lambda _: None)
    late = NotSent(event_time_us=1, account_id="A", client_order_id="a", reason=NotSentReason.LATE)
    assert Sieve(CODEC, TOLD).decode(CODEC.encode(late)) == late
    knowledge.take(late)
    past = replace(buy("a"), mode=Mode.PAPER, submit_before_us=1)
    assert execution._recorded_late(past) is not None
    assert execution._recorded_late(replace(past, client_order_id="b")) is None
