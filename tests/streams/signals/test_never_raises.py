"""Whatever a provider says, the fold answers with records that fit the wire."""

from decimal import Decimal
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.codec import Codec
from schemas.signal import Factor, SignalKind, SignalMode
from schemas.signing import new_keys
from tests.connectors.feeds.shared_sets import instrument
from tests.streams.signals.desk import NOON_US, Desk, introduced, signal, tick

CODEC = Codec.local()
TIMES = st.one_of(st.integers(NOON_US - 10**8, NOON_US + 10**8), st.integers(-(2**63), 2**63 - 1))
FLOATS = st.one_of(st.none(), st.floats(), st.floats(-1, 1))
TEXTS = st.one_of(st.text(max_size=5), st.just("x" * 5_000))
FIELDS: dict[str, st.SearchStrategy[Any]] = {
    "event_time_us": TIMES,
    "inputs_as_of_us": TIMES,
    "valid_until_us": TIMES,
    "horizon_us": st.integers(-(2**63), 2**63 - 1),
    "sequence": st.integers(-(2**63), 2**63 - 1),
    "kind": st.sampled_from(SignalKind),
    "mode": st.sampled_from(SignalMode),
    "strength": FLOATS,
    "probability": FLOATS,
    "confidence": FLOATS,
    "target_weight": FLOATS,
    "forecast_mean": FLOATS,
    "forecast_deviation": FLOATS,
    "target_price": st.one_of(st.none(), st.decimals(), st.just(Decimal("1e60"))),
    "cost_usd": st.one_of(st.none(), st.decimals()),
    "signal_id": TEXTS,
    "summary": TEXTS,
    "signature": TEXTS,
    "model_version": TEXTS,
    "tags": st.lists(TEXTS, max_size=12),
    "factors": st.lists(st.builds(Factor, name=TEXTS, value=st.floats(), weight=st.floats()), max_size=3),
}


@given(said=st.lists(st.fixed_dictionaries({}, optional=FIELDS), max_size=8))
@settings(max_examples=300, deadline=None)
def test_a_fold_never_raises_and_what_it_says_fits_the_wire(said: list[dict[str, Any]]) -> None:
    for desk in (Desk(), Desk(instrument(), introduced(public_key=new_keys()[1]), tick())):
        for number, changes in enumerate(said, 1):
            for answer in desk.tell(signal(number, **changes)):
                assert CODEC.decode(CODEC.encode(answer)) == answer
