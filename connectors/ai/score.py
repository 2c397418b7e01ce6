"""Scores of forecasts: how often right, and how well the probabilities were meant. Kept as they are, good or bad."""

from collections.abc import Iterator
from dataclasses import dataclass

COIN_BRIER = 0.25
"""What saying 50 % always would score."""


@dataclass(frozen=True, slots=True)
class Score:
    """Forecasts whose outcome is known.

    n: how many
    hits: of which the side was right; a price that did not move is half a hit
    brier_sum: sum of (probability of up - outcome)^2, where the outcome is 1, 0 or, for no move, 0.5
    """

    n: int = 0
    hits: float = 0.0
    brier_sum: float = 0.0

    def after(self, probability_up: float, move: float) -> "Score":
        """The score with one more outcome."""
        outcome = 1.0 if move > 0 else 0.0 if move < 0 else 0.5
        said_up = probability_up >= 0.5
        hit = 0.5 if move == 0 else float(said_up == (move > 0))
        return Score(self.n + 1, self.hits + hit, self.brier_sum + (probability_up - outcome) ** 2)

    def __add__(self, other: "Score") -> "Score":
        return Score(self.n + other.n, self.hits + other.hits, self.brier_sum + other.brier_sum)

    @property
    def hit_rate(self) -> float | None:
        """Share of forecasts whose side was right; None before the first."""
        return self.hits / self.n if self.n else None

    @property
    def brier(self) -> float | None:
        """Mean squared error of the probability: 0 is perfect, 0.25 a coin; None before the first."""
        return self.brier_sum / self.n if self.n else None

    def rows(self) -> Iterator[tuple[str, float | int | None]]:
        """Name and value of each figure."""
        yield from (("n", self.n), ("hit_rate", self.hit_rate), ("brier", self.brier))
