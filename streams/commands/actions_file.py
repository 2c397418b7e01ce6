"""A file of corporate actions: read whole or not at all, and what of it is to be said now.

Columns, by the names in the header and in any order:

- `effective`: from when prices go without it (ex): a day of UTC, or a time in ISO 8601 with a zone;
- `instrument_id`: our id;
- `kind`: SPLIT, DIVIDEND or SYMBOL;
- `ratio`: of a split: new units for one old one;
- `amount`: of a dividend: cash for one unit, in the settlement currency;
- `symbol`, `new_symbol`: of a change of symbol: the venue's text before and after it;
- `reason`: the issuer's words; this column may be missing.

A cell that its kind does not ask for stays empty. Row numbers are those that an editor shows.
"""

import csv
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING

from msgspec.structs import replace

from schemas.edge import InvalidRecord, parse
from schemas.record import Record
from schemas.reference import CorporateAction, CorporateActionKind, Instrument

if TYPE_CHECKING:
    from streams.accounts.shared import KnownAction

SYMBOL = "SYMBOL"
NEEDED: Mapping[str, tuple[str, ...]] = {
    CorporateActionKind.SPLIT: ("ratio",),
    CorporateActionKind.DIVIDEND: ("amount",),
    SYMBOL: ("symbol", "new_symbol"),
}
"""The columns that say what an action of this kind does."""

COLUMNS = ("effective", "instrument_id", "kind", "ratio", "amount", "symbol", "new_symbol")
MAY_LACK = ("reason",)
ROWS_MAX = 100_000
SHOWN_MAX = 5


class ActionsRefused(ValueError):
    """The file cannot be taken; says every kind of trouble with its first rows."""


class Standing(StrEnum):
    """What becomes of a row."""

    DUE = "said now"
    PAST = "before the time asked for"
    LATER = "not effective yet"
    KNOWN = "known already"


@dataclass(frozen=True, slots=True)
class Row:
    """One action of the file. number: of its row; symbols: before and after, of a change of symbol."""

    number: int
    effective_us: int
    instrument_id: str
    kind: str
    action: CorporateAction | None = None
    symbols: tuple[str, str] = ("", "")


@dataclass(frozen=True, slots=True)
class Plan:
    """What to say, in order, and what becomes of each row of the file."""

    records: tuple[Record, ...]
    rows: tuple[tuple[Row, Standing], ...]


def read_actions(path: Path, instruments: Mapping[str, Instrument]) -> list[Row]:
    """Every action of the file in order of time, each judged. Raises ActionsRefused, and OSError.

    The version of an action follows from its time and kind, so that the same row is the same action however often and
    in whatever file it comes.
    """
    rows: list[Row] = []
    wrong: list[str] = []
    first: dict[tuple[str, int, str], int] = {}
    for number, cells in _cells(path):
        try:
            row = _row(number, cells, instruments)
        except ActionsRefused as error:
            wrong.append(f"row {number}: {error}")
            continue
        same = first.setdefault((row.instrument_id, row.effective_us, row.kind), number)
        if same != number:
            wrong.append(f"row {number}: says another {row.kind} of {row.instrument_id} at the time of row {same}")
        rows.append(row)
    if wrong:
        more = f"; {len(wrong) - SHOWN_MAX} more" if len(wrong) > SHOWN_MAX else ""
        raise ActionsRefused("; ".join(wrong[:SHOWN_MAX]) + more)
    if not rows:
        raise ActionsRefused("it has no rows")
    return sorted(rows, key=lambda row: (row.effective_us, _rank(row.kind), row.instrument_id))


def planned(
    rows: Sequence[Row],
    instruments: Mapping[str, Instrument],
    actions: "Mapping[str, KnownAction]",
    *,
    since_us: int,
    now_us: int,
) -> Plan:
    """What is due from `since_us` to `now_us` and not known yet. What is known is said by nobody again."""
    records: list[Record] = []
    told: list[tuple[Row, Standing]] = []
    known = dict(instruments)
    renamed: dict[str, Instrument] = {}
    for row in rows:
        standing = _standing(row, known, actions, since_us, now_us)
        told.append((row, standing))
        if standing is not Standing.DUE:
            continue
        if row.action is not None:
            records.append(replace(row.action, event_time_us=now_us))
        else:
            known[row.instrument_id] = renamed[row.instrument_id] = _renamed(
                instruments[row.instrument_id], row.symbols[1], now_us
            )
    records += [named for name, named in renamed.items() if named.symbol != instruments[name].symbol]
    return Plan(tuple(records), tuple(told))


def _standing(
    row: Row,
    instruments: Mapping[str, Instrument],
    actions: "Mapping[str, KnownAction]",
    since_us: int,
    now_us: int,
) -> Standing:
    if row.effective_us > now_us:
        return Standing.LATER
    if row.effective_us < since_us:
        return Standing.PAST
    if row.action is None:
        return Standing.DUE if instruments[row.instrument_id].symbol == row.symbols[0] else Standing.KNOWN
    newest = actions.get(row.instrument_id)
    return Standing.KNOWN if newest is not None and newest.version >= row.action.version else Standing.DUE


def _renamed(instrument: Instrument, symbol: str, now_us: int) -> Instrument:
    return replace(instrument, symbol=symbol, version=instrument.version + 1, event_time_us=now_us)


def _cells(path: Path) -> Iterator[tuple[int, dict[str, str]]]:
    """Row number and the cells by column. Raises ActionsRefused, and OSError."""
    with path.open(encoding="utf-8-sig", newline="") as file:
        reader = csv.reader(file, strict=True)
        try:
            header = [name.strip().lower() for name in next(reader, [])]
            _check_header(header)
            for count, values in enumerate(reader):
                if count >= ROWS_MAX:
                    raise ActionsRefused(f"it has more than {ROWS_MAX} rows")
                if not any(value.strip() for value in values):
                    continue
                if len(values) != len(header):
                    raise ActionsRefused(f"row {reader.line_num}: has {len(values)} cells, not {len(header)}")
                yield reader.line_num, {name: cell.strip() for name, cell in zip(header, values, strict=True)}
        except (csv.Error, UnicodeDecodeError) as error:
            raise ActionsRefused(f"row {reader.line_num}: it is no CSV in UTF-8 ({error})") from error


def _check_header(header: Sequence[str]) -> None:
    lacking = [name for name in COLUMNS if name not in header]
    strange = [name for name in header if name not in (*COLUMNS, *MAY_LACK)]
    if lacking or strange or len(set(header)) != len(header):
        said = [f"lacks {', '.join(lacking)}"] if lacking else []
        said += [f"has {', '.join(strange)}, which nobody knows"] if strange else []
        raise ActionsRefused(f"row 1: the header {' and '.join(said) or 'names a column twice'}")


def _row(number: int, cells: Mapping[str, str], instruments: Mapping[str, Instrument]) -> Row:
    """The action of one row. Raises ActionsRefused."""
    kind, instrument_id = cells["kind"].upper(), cells["instrument_id"]
    needed = NEEDED.get(kind)
    if needed is None:
        raise ActionsRefused(f"{cells['kind']!r} is no kind of action; there are {', '.join(NEEDED)}")
    if instrument_id not in instruments:
        raise ActionsRefused(f"nobody knows an instrument {instrument_id!r}")
    for name in ("ratio", "amount", "symbol", "new_symbol"):
        if (name in needed) != bool(cells[name]):
            raise ActionsRefused(f"a {kind} {'needs' if name in needed else 'has no'} {name}")
    fields = {name: cells[name] for name in ("ratio", "amount") if cells[name]}
    action = _action(cells, {**fields, "kind": "SPLIT" if kind == SYMBOL else kind, "instrument_id": instrument_id})
    if kind == SYMBOL:
        if cells["symbol"] == cells["new_symbol"]:
            raise ActionsRefused("the new symbol is the one before")
        symbols = (cells["symbol"], cells["new_symbol"])
        return Row(number, action.event_time_us, instrument_id, kind, symbols=symbols)
    if not action.sound:
        raise ActionsRefused(f"a {kind} needs {needed[0]} above zero, and {cells[needed[0]]} is not")
    action = replace(action, version=action.event_time_us + _rank(kind))
    return Row(number, action.event_time_us, instrument_id, kind, action=action)


def _action(cells: Mapping[str, str], fields: Mapping[str, str]) -> CorporateAction:
    """The cells as an edge reads them. Raises ActionsRefused."""
    effective = cells["effective"]
    midnight = f"{effective}T00:00:00Z" if len(effective) == len("2020-01-01") else effective
    try:
        return parse(
            CorporateAction,
            {**fields, "event_time_us": midnight, "version": 0, "reason": cells.get("reason", "")},
        )
    except InvalidRecord as error:
        said = "; ".join(str(problem).replace("event_time_us", "effective") for problem in error.problems)
        raise ActionsRefused(said) from error


def _rank(kind: str) -> int:
    """The place of a kind among actions of one instant."""
    return list(NEEDED).index(kind)
