"""What a report compares an account with: a benchmark's series, and the weights and returns of its sectors.

The return of an account over the days of a report is what it gained over the capital at work (P. Dietz 1966: equity at
the beginning, and what was paid in since by the days that it was there). A sector's weight is the mean of its worth at
the end of each day over that capital, its return what it earned over its weight, and CASH is what remains of both, so
that all weights add to one and all contributions to the return.
"""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import date
from pathlib import Path
from typing import Any, NamedTuple

from streams.commands.stats_of_file import opened, read_series
from streams.pnl.performance.attribution import Active, Segment, brinson_fachler
from streams.pnl.performance.returns import Series
from streams.pnl.performance.series_file import UnreadableSeries, value_of

CASH = "CASH"
"""The segment of what is in no sector."""
COLUMNS = ("sector", "weight", "return")
WEIGHTS_OFF_MAX = 1e-6
"""How far the weights of a benchmark may be from one together: what rounding leaves."""
NO_WEIGHT = 1e-6
"""Weight that is rounding: a return on it would be one on next to nothing."""


class SectorShare(NamedTuple):
    """A sector in the benchmark: its weight and its return over the days of the report, as fractions."""

    weight: float
    performance: float


@dataclass(frozen=True, slots=True)
class Against:
    """What to compare with; None where nothing is given. `name` is for the reader."""

    name: str = ""
    series: Series | None = None
    sectors: Mapping[str, SectorShare] | None = None


UNKNOWN = Against()
"""Nothing to compare with."""


class Held(NamedTuple):
    """What was held of an instrument at the end of a day, in base currency; None where it is not known."""

    instrument_id: str
    sector: str
    day: date
    worth: float | None


@dataclass(frozen=True, slots=True)
class ActiveReturn:
    """The account's return, the benchmark's, and what each segment added to the difference; the totals add up to it."""

    performance: float
    benchmark: float
    segments: Mapping[str, Segment]
    added: Mapping[str, Active]

    def to_json(self) -> dict[str, Any]:
        """As JSON says it: by segment."""
        by_segment = {name: asdict(self.segments[name]) | asdict(one) for name, one in self.added.items()}
        return {"return": self.performance, "benchmark_return": self.benchmark, "by_sector": by_segment}


def read_against(series: Path | None, sectors: Path | None) -> Against:
    """What these files say. Raises UnreadableSeries, which names file, line and reason."""
    named = " and ".join(path.name for path in (series, sectors) if path is not None)
    return Against(
        named,
        None if series is None else read_series(series),
        None if sectors is None else parse_sectors(opened(sectors), sectors.name),
    )


def parse_sectors(content: bytes, name: str) -> dict[str, SectorShare]:
    """The sectors of a file's bytes. Raises UnreadableSeries, also where the weights do not add to one."""
    try:
        lines = csv.reader(io.StringIO(content.decode("utf-8-sig"), newline=""), strict=True)
        table = [cells for cells in lines if cells]
    except (UnicodeDecodeError, csv.Error) as cause:
        raise UnreadableSeries(name, f"cannot be read as CSV in UTF-8: {cause}") from cause
    names = [cell.strip().lower() for cell in table[0]] if table else []
    if sorted(names) != sorted(COLUMNS):
        raise UnreadableSeries(name, f"needs the columns {', '.join(COLUMNS)}; it has: {', '.join(names)[:200]}")
    found: dict[str, SectorShare] = {}
    for line, cells in enumerate(table[1:], 2):
        try:
            sector, share = _share(dict(zip(names, cells, strict=True)))
            if sector in found:
                raise ValueError(f"{sector} stands there twice")
        except ValueError as wrong:
            raise UnreadableSeries(name, f"line {line}: {wrong}", ((line, str(wrong)),)) from wrong
        found[sector] = share
    total = math.fsum(share.weight for share in found.values())
    if abs(total - 1.0) > WEIGHTS_OFF_MAX:
        raise UnreadableSeries(name, f"the weights add to {total:.6g}, not to 1; say what is not invested as {CASH}")
    return found


def _share(row: Mapping[str, str]) -> tuple[str, SectorShare]:
    sector = row["sector"].strip()
    weight, performance = value_of(row["weight"].strip()), value_of(row["return"].strip())
    if not sector or math.isnan(weight) or math.isnan(performance):
        raise ValueError("a sector, its weight and its return must all be there")
    if performance < -1.0:
        raise ValueError(f"a return of {performance} loses more than there was")
    return sector, SectorShare(weight, performance)


def active_return(
    days: Sequence[tuple[date, float, float | None]],
    held: Iterable[Held],
    earned: Mapping[str, float | None],
    sectors: Mapping[str, SectorShare],
) -> ActiveReturn | str:
    """Divide the account's return less the benchmark's by sector; or say why it cannot be.

    `days` are equity and what was paid in so far at the end of each, oldest first; `earned` is by sector, since the
    first of them.
    """
    if len(days) < 2:
        return "there is one day of equity, and a return needs two"
    paid = [deposits for _, _, deposits in days if deposits is not None]
    if len(paid) < len(days):
        return "what was paid in is not known of each day"
    gained = days[-1][1] - days[0][1] - (paid[-1] - paid[0])
    capital = days[0][1] + math.fsum(deposits - paid[0] for deposits in paid[:-1]) / (len(days) - 1)
    if capital <= 0.0:
        return "there was no capital at work"
    worth = _mean_worth([day for day, *_ in days[:-1]], held)
    if worth is None or None in earned.values():
        return "a position or result of some day cannot be valued"
    results = {name: pnl for name, pnl in earned.items() if pnl is not None}
    weights = {name: mean / capital for name, mean in worth.items() if abs(mean / capital) > NO_WEIGHT}
    results[CASH] = gained - math.fsum(results.get(name, 0.0) for name in weights if name != CASH)
    weights[CASH] = 1.0 - math.fsum(weights.values())
    market = math.fsum(share.weight * share.performance for share in sectors.values())
    segments = {}
    for name in sorted({*weights, *sectors}, key=lambda one: (one == CASH, one)):
        share = sectors.get(name) or SectorShare(0.0, 0.0 if name == CASH else market)
        weight = weights.get(name, 0.0)
        pnl = results.get(name, 0.0)
        performance = share.performance if abs(weight) <= NO_WEIGHT else pnl / capital / weight
        segments[name] = Segment(weight, share.weight, performance, share.performance)
    added = brinson_fachler(segments)
    if abs(weights[CASH]) <= NO_WEIGHT:
        # What was earned with no weight at the end of any day was neither chosen nor allocated.
        cash = added[CASH]
        left = results[CASH] / capital - weights[CASH] * segments[CASH].performance
        added[CASH] = replace(cash, interaction=cash.interaction + left)
    return ActiveReturn(gained / capital, market, segments, added)


def _mean_worth(days: Sequence[date], held: Iterable[Held]) -> dict[str, float] | None:
    """The mean worth of each sector at the ends of these days; None where one is not known. What is held stays held."""
    changes: dict[tuple[str, str], list[tuple[date, float | None]]] = {}
    for one in held:
        changes.setdefault((one.sector, one.instrument_id), []).append((one.day, one.worth))
    total: dict[str, float] = {}
    for (sector, _), known in changes.items():
        upcoming, worth = sorted(known, key=lambda change: change[0]), 0.0
        for day in days:
            while upcoming and upcoming[0][0] <= day:
                said = upcoming.pop(0)[1]
                if said is None:
                    return None
                worth = said
            total[sector] = total.get(sector, 0.0) + worth
    return {sector: worth / len(days) for sector, worth in total.items()}
