"""The learner learns from what has happened and nothing else, abstains when unsure, and keeps its score as it is."""

import random
from itertools import pairwise

import pytest

from connectors.ai.learner import Learner, LearnerRules
from connectors.ai.publisher import check
from connectors.ai.score import Score
from schemas.market import Bar, BarKind
from schemas.scalars import DAY_US
from schemas.signal import Signal, SignalKind
from tests.streams.strategies.floor import bar

RULES = LearnerRules(horizon_bars=1, warm_up=60)


def learn(learner: Learner, bars: list[Bar]) -> list[Signal]:
    return [signal for one in bars for signal in learner.on_bar(one)]


def swinging(days: int) -> list[Bar]:
    """A market that turns back after every move, give or take: there is something to learn."""
    chance = random.Random(7)
    closes, side = [100.0], 1.0
    for _ in range(days):
        closes.append(closes[-1] + side * (1 + chance.random()))
        side = -side if chance.random() < 0.85 else side
    return [bar(day, round(close, 2)) for day, close in enumerate(closes)]


def wandering(days: int, seed: int = 7) -> list[Bar]:
    """A market without memory: there is nothing to learn."""
    chance = random.Random(seed)
    close = 1000.0
    bars = []
    for day in range(days):
        close += chance.gauss(0, 1)
        bars.append(bar(day, round(close, 2)))
    return bars


def test_it_learns_what_there_is_to_learn() -> None:
    learner = Learner(rules=RULES)
    learn(learner, swinging(600))
    score = learner.score()
    assert score.n > 100
    assert score.hit_rate is not None
    assert score.hit_rate > 0.75
    assert score.brier is not None
    assert score.brier < 0.2


def test_it_learns_from_the_stream_and_not_before_it() -> None:
    early, late = Learner(rules=RULES), Learner(rules=RULES)
    bars = swinging(800)
    learn(early, bars[:100])
    learn(late, bars)
    (first, _), (last, _) = early.scores()["WTI"], late.scores()["WTI"]
    assert first.brier is not None
    assert last.brier is not None
    assert last.brier < first.brier


def test_where_there_is_nothing_to_learn_it_is_no_better_than_a_coin_and_says_so() -> None:
    learner = Learner(rules=RULES)
    learn(learner, wandering(2_000))
    (forecasts, _) = learner.scores()["WTI"]
    assert forecasts.hit_rate is not None
    assert 0.45 < forecasts.hit_rate < 0.55
    assert forecasts.brier is not None
    assert forecasts.brier > 0.24


def test_it_abstains_when_it_is_unsure() -> None:
    unsure = Learner(rules=LearnerRules(horizon_bars=1, margin=0.49))
    assert [s for s in learn(unsure, wandering(500)) if s.kind is SignalKind.DIRECTION] == []
    sure = Learner(rules=LearnerRules(horizon_bars=1, margin=0.0))
    assert [s for s in learn(sure, wandering(500)) if s.kind is SignalKind.DIRECTION]


def test_it_says_once_that_it_is_not_sure_any_more() -> None:
    kinds = [str(s.kind) for s in learn(Learner(rules=LearnerRules(horizon_bars=1, margin=0.1)), wandering(1_000))]
    assert "ABSTAIN" in kinds
    assert ("ABSTAIN", "ABSTAIN") not in list(pairwise(kinds))
    assert kinds[0] == "DIRECTION"


def test_before_it_has_learnt_enough_it_says_nothing() -> None:
    assert learn(Learner(rules=LearnerRules(horizon_bars=1, warm_up=60)), swinging(60)) == []


def test_the_same_bars_give_the_same_signals() -> None:
    first, second = (learn(Learner(rules=RULES), swinging(400)) for _ in range(2))
    assert first == second
    assert first


def test_what_it_says_of_a_day_does_not_depend_on_what_follows() -> None:
    bars = swinging(400)
    future = [bar(day, 5.0) for day in range(300, 400)]
    cut = learn(Learner(rules=RULES), bars[:300])
    changed = learn(Learner(rules=RULES), [*bars[:300], *future])
    assert changed[: len(cut)] == cut


def test_instruments_are_learnt_apart() -> None:
    bars = swinging(300)
    other = [Bar(**{**{f: getattr(b, f) for f in b.__struct_fields__}, "instrument_id": "BRENT"}) for b in bars]
    both = [one for pair in zip(bars, other, strict=True) for one in pair]
    mixed = learn(Learner(rules=RULES), both)
    assert [s for s in mixed if s.instrument_id == "WTI"] == learn(Learner(rules=RULES), bars)


def test_a_bar_seen_twice_is_learnt_once() -> None:
    bars = swinging(300)
    twice = [one for b in bars for one in (b, b)]
    assert learn(Learner(rules=RULES), twice) == learn(Learner(rules=RULES), bars)


def test_a_volume_bar_is_not_for_it() -> None:
    learner = Learner(rules=RULES)
    learner.on_bar(bar(0, 10, kind=BarKind.VOLUME, interval_us=0))
    assert learner.scores() == {}


def test_it_lives_through_negative_prices() -> None:
    bars = [bar(day, -20 + (day % 7)) for day in range(200)]
    learn(Learner(rules=RULES), bars)
    still = [bar(day, 50) for day in range(100)]
    assert learn(Learner(rules=RULES), still) == [], "a market that stands still teaches nothing"


def test_every_signal_is_one_that_the_engine_would_take() -> None:
    signals = learn(Learner(rules=LearnerRules(margin=0.0)), swinging(300))
    for one in signals:
        check(one)
    sequences = [one.sequence for one in signals]
    assert sequences == sorted(set(sequences))
    assert {one.inputs_as_of_us == one.event_time_us for one in signals} == {True}


def test_its_horizon_is_the_time_of_as_many_bars_and_its_word_is_good_for_one() -> None:
    signal = learn(Learner(rules=LearnerRules(horizon_bars=3, margin=0.0)), swinging(300))[0]
    assert signal.horizon_us == 3 * DAY_US
    assert signal.valid_until_us - signal.event_time_us == DAY_US


@pytest.mark.parametrize(
    ("probability", "move", "hits", "brier"),
    [
        (0.8, 1.0, 1.0, 0.04),
        (0.8, -1.0, 0.0, 0.64),
        (0.3, -2.0, 1.0, 0.09),
        (0.6, 0.0, 0.5, 0.01),
        (0.5, 1.0, 1.0, 0.25),
    ],
)
def test_a_forecast_is_scored_by_its_side_and_its_probability(
    probability: float, move: float, hits: float, brier: float
) -> None:
    score = Score().after(probability, move)
    assert (score.n, score.hit_rate) == (1, hits)
    assert score.brier == pytest.approx(brier)


def test_before_the_first_outcome_there_is_no_score() -> None:
    assert dict(Score().rows()) == {"n": 0, "hit_rate": None, "brier": None}
    both = Score().after(1.0, 1.0) + Score().after(1.0, -1.0)
    assert dict(both.rows()) == {"n": 2, "hit_rate": 0.5, "brier": 0.5}
