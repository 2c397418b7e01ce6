"""Learner: an online model that forecasts the direction of a price, learns from every bar, and abstains when unsure.

One logistic regression for each instrument (river, stochastic gradient descent over standardised features). At every
bar it first learns from the bar `horizon_bars` ago, whose outcome is now known, and then forecasts. Nothing is learnt
before its outcome has happened, so that its score is what a follower would have had. Price differences, not returns,
are its measure: they are defined where a price is negative.
"""

from collections import deque
from dataclasses import dataclass, field
from math import sqrt
from typing import Any

from river import linear_model, optim, preprocessing

from connectors.ai.score import Score
from schemas.ids import short_id
from schemas.market import Bar, BarKind
from schemas.signal import Factor, Signal, SignalKind

MODEL_NAME = "online-logistic"
MODEL_VERSION = "1"
DECAY = 0.94
"""Of the volatility by which moves are scaled."""
MOMENTA = (1, 2, 5, 10, 20)
"""Bars that the features look back."""
SAYS = {SignalKind.DIRECTION: "expects the price to go", SignalKind.ABSTAIN: "is not sure any more"}


@dataclass(frozen=True, slots=True)
class LearnerRules:
    """How the learner behaves.

    horizon_bars: how far ahead it forecasts
    warm_up: outcomes learnt before it says anything
    margin: distance of the probability from one half below which it is unsure
    rate: of learning
    ridge: pull of the weights towards nothing
    """

    horizon_bars: int = 5
    warm_up: int = 60
    margin: float = 0.05
    rate: float = 0.02
    ridge: float = 0.001


@dataclass(slots=True)
class _Pupil:
    """What is known of one instrument.

    model, scaler: river's logistic regression and standard scaler, which carry no types
    closes, times_us: of the newest bars
    variance: exponentially weighted mean of squared price differences
    waiting: features, probability and close of forecasts whose outcome is not known, and whether it was published
    side: of the opinion that stands: 1, -1, or 0 for none
    age: bars since that opinion
    """

    model: Any
    scaler: Any
    closes: deque[float]
    times_us: deque[int]
    variance: float = 0.0
    learnt: int = 0
    side: int = 0
    age: int = 0
    forecasts: Score = field(default_factory=Score)
    published: Score = field(default_factory=Score)
    waiting: deque[tuple[dict[str, float], float, float, bool]] = field(default_factory=deque)


class Learner:
    """A provider that learns from bars. `on_bar` is a step without I/O: the same bars give the same signals.

    An opinion is published when the side changes and when the last one has reached its horizon; when it is unsure while
    an opinion stands, it says once that it abstains.
    """

    def __init__(self, provider_id: str = "learner", rules: LearnerRules | None = None) -> None:
        self.provider_id = provider_id
        self.rules = rules or LearnerRules()
        self._pupils: dict[str, _Pupil] = {}

    def on_bar(self, bar: Bar) -> list[Signal]:
        """Learn from one bar, and say what there is to say. Bars that are not newer than the last are ignored."""
        if bar.kind is not BarKind.TIME:
            return []
        pupil = self._pupils.get(bar.instrument_id) or self._pupils.setdefault(bar.instrument_id, self._pupil())
        if pupil.times_us and bar.event_time_us <= pupil.times_us[-1]:
            return []
        close = float(bar.close)
        if pupil.closes:
            difference = close - pupil.closes[-1]
            pupil.variance = DECAY * pupil.variance + (1 - DECAY) * difference**2 if pupil.variance else difference**2
        pupil.closes.append(close)
        pupil.times_us.append(bar.event_time_us)
        self._learn(pupil, close)
        features = _features(pupil)
        if features is None:
            return []
        return self._forecast(pupil, bar, features, close)

    def scores(self) -> dict[str, tuple[Score, Score]]:
        """For each instrument, the score of all its forecasts, and of those it published."""
        return {name: (pupil.forecasts, pupil.published) for name, pupil in sorted(self._pupils.items())}

    def score(self) -> Score:
        """Of all that was published."""
        return sum((pupil.published for pupil in self._pupils.values()), Score())

    def _pupil(self) -> _Pupil:
        rules = self.rules
        kept = max(MOMENTA[-1], rules.horizon_bars) + 1
        return _Pupil(
            model=linear_model.LogisticRegression(optimizer=optim.SGD(rules.rate), l2=rules.ridge),
            scaler=preprocessing.StandardScaler(),
            closes=deque(maxlen=kept),
            times_us=deque(maxlen=kept),
        )

    def _learn(self, pupil: _Pupil, close: float) -> None:
        """Take in the forecast whose outcome is known with this close."""
        if len(pupil.waiting) < self.rules.horizon_bars:
            return
        features, probability, before, published = pupil.waiting.popleft()
        move = close - before
        pupil.forecasts = pupil.forecasts.after(probability, move)
        if published:
            pupil.published = pupil.published.after(probability, move)
        if move:
            pupil.model.learn_one(features, move > 0)
            pupil.learnt += 1

    def _forecast(self, pupil: _Pupil, bar: Bar, features: dict[str, float], close: float) -> list[Signal]:
        pupil.scaler.learn_one(features)
        scaled = pupil.scaler.transform_one(features)
        probability = float(pupil.model.predict_proba_one(scaled).get(True, 0.5))
        signals = self._opinion(pupil, bar, scaled, probability) if pupil.learnt >= self.rules.warm_up else []
        published = bool(signals) and signals[0].kind is SignalKind.DIRECTION
        pupil.waiting.append((scaled, probability, close, published))
        return signals

    def _opinion(self, pupil: _Pupil, bar: Bar, scaled: dict[str, float], probability: float) -> list[Signal]:
        """What is worth saying now: a new side, the same side again at its horizon, or that it abstains."""
        pupil.age += 1
        side = 0 if abs(probability - 0.5) < self.rules.margin else 1 if probability > 0.5 else -1
        if side == pupil.side and (side == 0 or pupil.age < self.rules.horizon_bars):
            return []
        pupil.side, pupil.age = side, 0
        kind = SignalKind.DIRECTION if side else SignalKind.ABSTAIN
        return [self._signal(pupil, bar, kind, scaled, probability)]

    def _signal(
        self, pupil: _Pupil, bar: Bar, kind: SignalKind, scaled: dict[str, float], probability: float
    ) -> Signal:
        up = probability > 0.5
        weights = pupil.model.weights
        factors = [Factor(name=name, value=value, weight=float(weights[name])) for name, value in scaled.items()]
        words = f" {'up' if up else 'down'}, {max(probability, 1 - probability):.0%}" if pupil.side else ""
        return Signal(
            event_time_us=bar.event_time_us,
            signal_id=short_id(self.provider_id, MODEL_VERSION, bar.instrument_id, str(bar.event_time_us)),
            provider_id=self.provider_id,
            model_name=MODEL_NAME,
            model_version=MODEL_VERSION,
            instrument_id=bar.instrument_id,
            sequence=bar.event_time_us,
            kind=kind,
            inputs_as_of_us=bar.event_time_us,
            valid_until_us=bar.event_time_us + bar.interval_us,
            horizon_us=pupil.times_us[-1] - pupil.times_us[-1 - self.rules.horizon_bars],
            strength=float(pupil.side) if pupil.side else None,
            probability=max(probability, 1 - probability),
            summary=f"after {pupil.learnt} outcomes it {SAYS[kind]}{words}",
            factors=factors,
        )


def _features(pupil: _Pupil) -> dict[str, float] | None:
    """Moves over several lengths in units of the volatility; None before there are enough bars, or any moved."""
    if len(pupil.closes) <= MOMENTA[-1] or not pupil.variance:
        return None
    closes, deviation = pupil.closes, sqrt(pupil.variance)
    return {f"move_{bars}": (closes[-1] - closes[-1 - bars]) / (deviation * sqrt(bars)) for bars in MOMENTA}
