"""The writer: a page becomes one HTML file that loads nothing from anywhere.

Styles, the chart library and its data stand in the file. Its Content-Security-Policy allows exactly those two texts by
their hashes and nothing else, so that whatever an id or a reason holds, a browser fetches and runs nothing for it.
"""

import json
from base64 import b64encode
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from functools import cache
from hashlib import sha256
from html import escape
from importlib.resources import files
from itertools import count

from dashboards.report.page import Curve, Figure, Page, Section, Table, Unit, Value
from dashboards.report.values import negative, written

MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
WIDE = 5
"""Tables of so many columns become a card for each row on a narrow screen; months become one for each year."""
ROLES = ("table", "rowgroup", "row", "columnheader", "rowheader", "cell")


def document(page: Page) -> str:
    """The whole file."""
    style, script = _style(), _script()
    policy = (
        f"default-src 'none'; img-src data:; style-src '{_hash(style)}'; script-src '{_hash(script)}'; "
        "base-uri 'none'; form-action 'none'"
    )
    return "\n".join(
        [
            "<!doctype html>",
            '<html lang="en">',
            "<head>",
            '<meta charset="utf-8">',
            f'<meta http-equiv="Content-Security-Policy" content="{policy}">',
            '<meta name="viewport" content="width=device-width, initial-scale=1">',
            '<meta name="color-scheme" content="light dark">',
            '<meta name="referrer" content="no-referrer">',
            '<link rel="icon" href="data:,">',
            f"<title>{escape(page.title)}</title>",
            f"<style>{style}</style>",
            "</head>",
            "<body>",
            "<main>",
            *_body(page),
            "</main>",
            f"<footer>{escape(page.footer)}</footer>",
            f"<!-- {_text('vendor/LICENSE-uPlot')} -->",
            f"<script>{script}</script>",
            "</body>",
            "</html>",
            "",
        ]
    )


def _body(page: Page) -> Iterator[str]:
    numbers = count(1)
    yield f"<h1>{escape(page.title)}</h1>"
    yield f'<p class="subtitle">{escape(page.subtitle)}</p>'
    if page.warnings:
        yield '<aside class="warnings" aria-label="Read first"><ul>'
        yield from (f"<li>{escape(warning)}</li>" for warning in page.warnings)
        yield "</ul></aside>"
    yield '<dl class="figures">'
    yield from map(_figure, page.figures)
    yield "</dl>"
    yield "<section><h2>Equity and drawdown</h2>"
    yield from [f"<p>{escape(page.no_curve)}</p>"] if page.curve is None else _curve(page.curve)
    yield "</section>"
    yield "<section><h2>Monthly returns</h2>"
    yield from _months(page, f"t{next(numbers)}")
    yield "</section>"
    for section in page.sections:
        yield from _section(section, numbers)


def _figure(figure: Figure) -> str:
    note = f'<span class="note">{escape(figure.note)}</span>' if figure.note else ""
    value = f"<b{_mood(figure.value)}>{escape(written(figure.value, figure.unit))}</b>"
    return f"<div><dt>{escape(figure.name)}</dt><dd>{value}{note}</dd></div>"


def _curve(curve: Curve) -> Iterator[str]:
    said = (
        f"Equity at the end of each day (UTC), in {curve.currency}: {written(curve.equity[0], Unit.MONEY)} on "
        f"{_date(curve.days[0])}, {written(curve.equity[-1], Unit.MONEY)} on {_date(curve.days[-1])}."
    )
    yield f'<figure id="charts" aria-label="{escape(said)}"><div id="equity"></div><div id="drawdown"></div>'
    yield f"<figcaption>{escape(said)} Below it, how far it was under the highest before.</figcaption>"
    yield "<noscript><p>The curves need scripts; every other figure is in the tables.</p></noscript></figure>"
    drawn = {
        "currency": curve.currency,
        "days": curve.days,
        "equity": curve.equity,
        "drawdown": [None if fall is None else -fall for fall in curve.drawdown],
    }
    # In a script element only "<" can end the data early; the escape means the same in JSON.
    held = json.dumps(drawn, separators=(",", ":"), allow_nan=False).replace("<", "\\u003c")
    yield f'<script type="application/json" id="curve">{held}</script>'


def _months(page: Page, name: str) -> Iterator[str]:
    if not page.months:
        yield "<p>There is no month with a return.</p>"
        return
    whole, group, row, head, name_of, cell = (f' role="{role}"' for role in ROLES)
    yield f'<h3 id="{name}">Return of each month and year, without deposits</h3>'
    yield f'<div class="scroll" tabindex="0" role="region" aria-labelledby="{name}">'
    yield f'<table class="months"{whole} aria-labelledby="{name}">'
    heads = "".join(f'<th{head} scope="col">{word}</th>' for word in ("Year", *MONTHS, "Year"))
    yield f"<thead{group}><tr{row}>{heads}</tr></thead><tbody{group}>"
    for year in sorted({year for year, _ in page.months}):
        returns = [page.months.get((year, month)) for month in range(1, 13)]
        cells = "".join(
            _cell(value, Unit.FRACTION, word, role=cell) if (year, month) in page.months else f"<td{cell}></td>"
            for month, (word, value) in enumerate(zip(MONTHS, returns, strict=True), 1)
        )
        compounded = _compounded([value for value in returns if value is not None])
        of_year = _cell(compounded, Unit.FRACTION, "Year", role=cell)
        yield f'<tr{row}><th{name_of} scope="row">{year}</th>{cells}{of_year}</tr>'
    yield "</tbody></table></div>"


def _compounded(returns: list[float]) -> float | None:
    """What the returns come to one after another; None where there is none."""
    grown = 1.0
    for value in returns:
        grown *= 1.0 + value
    return grown - 1.0 if returns else None


def _section(section: Section, numbers: Iterator[int]) -> Iterator[str]:
    yield f"<section><h2>{escape(section.title)}</h2>"
    yield from (f"<p>{escape(remark)}</p>" for remark in section.remarks)
    for table in section.tables:
        yield from _table(table, f"t{next(numbers)}")
    yield "</section>"


def _table(table: Table, name: str) -> Iterator[str]:
    if not table.rows:
        yield f"<h3>{escape(table.caption)}</h3><p>{escape(table.otherwise)}</p>"
        return
    cards = len(table.columns) >= WIDE
    # Cards are laid out as blocks, which takes a table's meaning away; the roles give it back.
    whole, group, row, head, name_of, cell = (f' role="{role}"' if cards else "" for role in ROLES)
    yield f'<h3 id="{name}">{escape(table.caption)}</h3>'
    yield f'<div class="scroll" tabindex="0" role="region" aria-labelledby="{name}">'
    yield f'<table class="{"cards" if cards else "plain"}"{whole} aria-labelledby="{name}">'
    heads = "".join(
        f'<th{head} scope="col"{_side(column.unit, table.figures and place > 0)}>{escape(column.name)}</th>'
        for place, column in enumerate(table.columns)
    )
    yield f"<thead{group}><tr{row}>{heads}</tr></thead><tbody{group}>"
    for first, *others in table.rows:
        cells = "".join(
            _cell(value, column.unit, column.name if cards else "", table.figures, cell)
            for value, column in zip(others, table.columns[1:], strict=True)
        )
        yield f'<tr{row}><th{name_of} scope="row">{escape(written(first, table.columns[0].unit))}</th>{cells}</tr>'
    yield "</tbody></table></div>"


def _cell(value: Value, unit: Unit, label: str = "", figure: bool = False, role: str = "") -> str:
    named = f' data-label="{escape(label)}"' if label else ""
    kinds = ["number"] if unit.numeric or figure else ["day"] if unit is Unit.DAY else []
    kinds += ["below"] if negative(value) else []
    kinds += ["unknown"] if value is None else []
    kind = f' class="{" ".join(kinds)}"' if kinds else ""
    return f"<td{role}{named}{kind}>{escape(written(value, unit))}</td>"


def _side(unit: Unit, figure: bool) -> str:
    return ' class="number"' if unit.numeric or figure else ""


def _mood(value: Value) -> str:
    return ' class="below"' if negative(value) else ""


def _date(day: int) -> str:
    return (datetime(1970, 1, 1, tzinfo=UTC) + timedelta(days=day)).date().isoformat()


def _hash(text: str) -> str:
    return "sha256-" + b64encode(sha256(text.encode()).digest()).decode()


@cache
def _style() -> str:
    return _text("vendor/uPlot.min.css") + "\n" + _text("report.css")


@cache
def _script() -> str:
    return _text("vendor/uPlot.iife.min.js") + "\n" + _text("report.js")


@cache
def _text(name: str) -> str:
    return (files(__package__) / name).read_text(encoding="utf-8")
