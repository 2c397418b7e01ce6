"""Whatever a feed says, the fold answers with records that fit the wire, and with states that survive encoding."""

from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.codec import Codec
from schemas.market import BarBatch, Heartbeat, QuoteBatch, TradeBatch
from schemas.record import Record
from tests.connectors.feeds.shared_sets import instrument
from tests.streams.market_data.market import MONDAY_US, Exchange

CODEC = Codec.local()
ANY = st.one_of(st.integers(-(2**63), 2**63 - 1), st.integers(-5, 5), st.integers(900, 1_100))
SOON = st.integers(MONDAY_US, MONDAY_US + 10**9)
TIMES = st.one_of(*[SOON] * 9, st.integers(-(2**63), 2**63 - 1))
EXPONENTS = st.integers(-14, 5)
SEQUENCES = st.integers(0, 20)
ROWS = 4


def columns(*names: str) -> st.SearchStrategy[dict[str, list[int]]]:
    """Columns of one length, mostly."""
    length = st.integers(0, ROWS)
    return length.flatmap(
        lambda rows: st.fixed_dictionaries(
            {name: st.lists(TIMES if name == "times_us" else ANY, min_size=rows, max_size=rows) for name in names}
        )
    )


def batches(kind: type[Record], names: tuple[str, ...], **more: Any) -> st.SearchStrategy[Record]:
    head = st.fixed_dictionaries(
        {
            "event_time_us": TIMES,
            "instrument_id": st.sampled_from(["WTI", "XXX"]),
            "feed_id": st.sampled_from(["a", "b"]),
            "sequence": SEQUENCES,
            "price_exponent": EXPONENTS,
            "size_exponent": EXPONENTS,
            **more,
        }
    )
    return st.builds(lambda one, two: kind(**one, **two), head, columns("times_us", *names))


RECORDS = st.one_of(
    batches(BarBatch, ("opens", "highs", "lows", "closes"), interval_us=st.sampled_from([0, 60_000_000])),
    batches(BarBatch, ("opens", "highs", "lows", "closes", "volumes"), interval_us=st.just(60_000_000)),
    batches(QuoteBatch, ("bids", "asks")),
    batches(QuoteBatch, ("bids", "asks", "bid_sizes", "ask_sizes")),
    batches(TradeBatch, ("prices",)),
    batches(TradeBatch, ("prices", "sizes")),
    st.builds(Heartbeat, event_time_us=st.integers(1, MONDAY_US + 10**11), feed_id=st.sampled_from(["a", "b"])),
)


@pytest.mark.parametrize("negative", [False, True])
@given(records=st.lists(RECORDS, max_size=12))
@settings(max_examples=150, deadline=None)
def test_a_fold_never_raises_and_what_it_says_fits_the_wire(negative: bool, records: list[Record]) -> None:
    told = instrument(price_may_be_negative=negative, has_volume=True, tick_bar_volume="7")
    exchange = Exchange(msgspec.convert(msgspec.to_builtins(told), type(told)))
    for record in records:
        for said in exchange.tell(record):
            assert CODEC.decode(CODEC.encode(said)) == said
    room = exchange.partition._room
    for state in exchange.partition.states.values():
        for name, part in room.parts(state).items():
            kind = room.part_types[name.partition(":")[0]]
            assert msgspec.msgpack.decode(msgspec.msgpack.encode(part), type=kind) == part
