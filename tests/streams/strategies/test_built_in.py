"""The strategies that come with the engine, on days of few numbers."""

from decimal import Decimal
from typing import Any

import pytest

from schemas.intent import IntentKind, TradeIntent
from schemas.scalars import DAY_US
from schemas.signal import ProviderRole, SignalKind, SignalMode
from tests.streams.strategies.floor import Floor, accepted, bar, deploy, market


def wishes(intents: list[TradeIntent]) -> list[tuple[str, float]]:
    """Kind and size of each intent."""
    return [(str(i.kind), i.target_weight if i.target_weight is not None else i.direction) for i in intents]


def following(**parameters: Any) -> Floor:
    """An instance that follows signals, at a price of 100."""
    return Floor(deploy("one", "follow_signal", **parameters), bar(0, 100))


def test_the_cross_goes_long_above_and_short_below() -> None:
    floor = Floor(deploy("one", "moving_average_cross", fast=1, slow=3))
    assert wishes(floor.intents(*market(10, 10, 10))) == []
    assert wishes(floor.intents(*market(11, 12, 9, 8, first=3))) == [("DIRECTION", 1.0), ("DIRECTION", -1.0)]


def test_a_band_keeps_the_side_until_the_averages_part_far_enough() -> None:
    floor = Floor(deploy("one", "moving_average_cross", fast=1, slow=2, band=0.1))
    assert wishes(floor.intents(*market(10, 11))) == [], "11 is 4.8 % above 10.5"
    assert wishes(floor.intents(*market(14, 13.5, first=2))) == [("DIRECTION", 1.0)]


def test_the_cross_lives_through_a_negative_price() -> None:
    floor = Floor(deploy("one", "moving_average_cross", fast=1, slow=2))
    assert wishes(floor.intents(*market(18.31, -36.98, 8.91))) == [("DIRECTION", -1.0), ("DIRECTION", 1.0)]


def test_the_trend_holds_more_when_it_is_calm_and_never_more_than_its_maximum() -> None:
    for volatility, weight in ((0.3, 0.5), (0.15, 1.0), (0.01, 1.0)):
        floor = Floor(deploy("one", "volatility_target_trend", lookback=2))
        assert wishes(floor.intents(*market(10, 11, 12, volatility=volatility))) == [("TARGET_WEIGHT", weight)]


def test_the_trend_is_short_when_prices_fall_and_flat_where_only_long_is_allowed() -> None:
    floor = Floor(deploy("one", "volatility_target_trend", lookback=2))
    assert wishes(floor.intents(*market(12, 11, 10))) == [("TARGET_WEIGHT", -0.5)]
    floor = Floor(deploy("one", "volatility_target_trend", lookback=2, long_only="true"))
    assert wishes(floor.intents(*market(12, 11, 10))) == []


def test_a_change_of_weight_below_what_is_worth_its_cost_is_not_wished() -> None:
    floor = Floor(deploy("one", "volatility_target_trend", lookback=2))
    assert wishes(floor.intents(*market(10, 11, 12, volatility=0.3))) == [("TARGET_WEIGHT", 0.5)]
    assert wishes(floor.intents(*market(13, first=3, volatility=0.35))) == []
    assert wishes(floor.intents(*market(14, first=4, volatility=0.5))) == [("TARGET_WEIGHT", 0.3)]


@pytest.mark.parametrize(("close", "volatility"), [(-36.98, 0.3), (0.0, 0.3), (12.0, None)])
def test_without_a_volatility_or_a_positive_price_the_trend_holds_nothing(
    close: float, volatility: float | None
) -> None:
    floor = Floor(deploy("one", "volatility_target_trend", lookback=2), *market(10, 11, 12))
    assert wishes(floor.intents(*market(close, first=3, volatility=volatility))) == [("EXIT", 0.0)]


def test_a_direction_is_followed_and_says_whose_it_is() -> None:
    (intent,) = following().intents(accepted(0, strength=-0.5, probability=0.7))
    assert wishes([intent]) == [("DIRECTION", -0.5)]
    assert (intent.signal_id, intent.provider_id, intent.probability) == ("s-1", "oracle", 0.7)


@pytest.mark.parametrize(
    ("changes", "wish"),
    [
        ({"kind": SignalKind.TARGET_WEIGHT, "target_weight": 0.3}, ("TARGET_WEIGHT", 0.3)),
        ({"kind": SignalKind.FORECAST, "forecast_mean": 0.01, "forecast_deviation": 0.04}, ("DIRECTION", 0.25)),
        ({"kind": SignalKind.FORECAST, "forecast_mean": -9.0, "forecast_deviation": 1.0}, ("DIRECTION", -1.0)),
        ({"kind": SignalKind.TARGET_PRICE, "target_price": Decimal(101)}, ("DIRECTION", 1.0)),
        ({"kind": SignalKind.TARGET_PRICE, "target_price": Decimal(99)}, ("DIRECTION", -1.0)),
    ],
)
def test_every_kind_of_opinion_is_understood(changes: dict[str, Any], wish: tuple[str, float]) -> None:
    assert wishes(following().intents(accepted(0, **changes))) == [wish]


@pytest.mark.parametrize(
    "changes",
    [
        {"kind": SignalKind.ABSTAIN},
        {"kind": SignalKind.FORECAST, "forecast_mean": 0.1, "forecast_deviation": 0.0},
        {"mode": SignalMode.SHADOW},
        {"role": ProviderRole.SHADOW},
        {"probability": 0.49},
        {"provider_id": "stranger"},
    ],
)
def test_some_opinions_are_not_followed(changes: dict[str, Any]) -> None:
    floor = following(provider="oracle")
    assert floor.intents(accepted(0, **changes)) == []


def test_exit_ends_the_opinion_at_once() -> None:
    floor = following()
    floor.tell(accepted(0))
    assert wishes(floor.intents(accepted(0, 2, kind=SignalKind.EXIT))) == [("EXIT", 0.0)]


def test_abstaining_lets_the_older_opinion_run_its_course() -> None:
    floor = following()
    floor.tell(accepted(0), accepted(0, 2, kind=SignalKind.ABSTAIN))
    assert wishes(floor.intents(bar(5, 100))) == [("EXIT", 0.0)]


def test_an_opinion_fades_with_its_age_and_ends_with_its_horizon() -> None:
    floor = following(half_life=0.5, step=0.25)
    floor.tell(accepted(0))
    intents = floor.intents(*[bar(day, 100) for day in range(1, 6)])
    assert [(kind, round(size, 3)) for kind, size in wishes(intents)] == [
        ("DIRECTION", 0.707),  # after 1 of 4 days, with a half-life of 2
        ("DIRECTION", 0.354),  # after 3
        ("EXIT", 0.0),  # day 5 is past the horizon; day 4 is its end
    ]
    assert [(intent.event_time_us - intents[0].event_time_us) // DAY_US for intent in intents] == [0, 2, 4]


def test_a_bar_older_than_the_opinion_does_not_make_it_stronger() -> None:
    floor = following(step=0.01)
    assert wishes(floor.intents(accepted(2, strength=1.0))) == [("DIRECTION", 1.0)]
    assert wishes(floor.intents(bar(1, 100))) == []


def test_a_newer_opinion_replaces_the_older_and_starts_its_own_age() -> None:
    floor = following(half_life=100)
    floor.tell(accepted(0), bar(3, 100))
    assert wishes(floor.intents(accepted(3, 2, strength=-1.0))) == [("DIRECTION", -1.0)]
    assert floor.intents(bar(5, 100), bar(7, 100)) == []
    assert wishes(floor.intents(bar(8, 100))) == [("EXIT", 0.0)]


@pytest.mark.parametrize(("strength", "stop"), [(1.0, Decimal("95.00")), (-1.0, Decimal("105.00"))])
def test_a_protective_stop_lies_on_the_losing_side(strength: float, stop: Decimal) -> None:
    (intent,) = following(stop_fraction=0.05).intents(accepted(0, strength=strength))
    assert intent.stop_price == stop


def test_a_stop_below_a_negative_price_is_still_on_the_losing_side() -> None:
    floor = Floor(deploy("one", "follow_signal", stop_fraction=0.1), bar(0, -20))
    (intent,) = floor.intents(accepted(0))
    assert intent.stop_price == Decimal("-22.0")


def test_only_long_means_flat_instead_of_short() -> None:
    floor = following(long_only="true")
    assert wishes(floor.intents(accepted(0))) == [("DIRECTION", 1.0)]
    assert wishes(floor.intents(accepted(0, 2, strength=-1.0))) == [("DIRECTION", 0.0)]
    assert IntentKind.EXIT not in [i.kind for i in floor.intents(accepted(0, 3, strength=-0.5))]
