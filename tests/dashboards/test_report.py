"""The page of a report: what it says, that it loads nothing, and that a browser draws it."""

import base64
import hashlib
import re
from collections.abc import Mapping
from dataclasses import replace
from decimal import Decimal
from html.parser import HTMLParser
from pathlib import Path

import pytest

from dashboards.report.html import document
from dashboards.report.page import Column, Curve, Figure, Page, Section, Table, Unit, Value
from dashboards.report.values import MINUS, written
from tests.dashboards.browser import PATH, browser
from tests.paths import ROOT

VENDOR = ROOT / "dashboards" / "report" / "vendor"
EVIL = '</script><img src="https://example.org/x" onerror="alert(1)">'


def page(*rows: tuple[Value, ...], name: str = "teapot", months: Mapping[tuple[int, int], float | None] = {}) -> Page:
    """A page with one table of a name and an amount."""
    table = Table("By strategy", (Column("Strategy"), Column("P&L", Unit.MONEY)), rows, "No strategy has traded.")
    return Page(
        title=f"Account {name}",
        subtitle="two days",
        figures=(Figure("Equity", Decimal("1234.5"), Unit.MONEY, "USD"),),
        warnings=(),
        curve=Curve(name, (18_321, 18_322, 18_323), (1000.0, 1100.0, 990.0), (0.0, 0.0, 0.1)),
        no_curve="One day is no curve.",
        months=months,
        sections=(Section("Who earned it", ("In USD.",), (table,)),),
        footer="Written today.",
    )


class Read(HTMLParser):
    """What a browser would see: tags with their attributes, the texts of scripts and styles, and all other words."""

    def __init__(self, text: str):
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.inside: dict[str, list[str]] = {"script": [], "style": []}
        self.words: list[str] = []
        self.feed(text)

    def _opened(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def _said(self, data: str) -> None:
        place = self.cdata_elem
        self.inside.get(place or "", self.words).append(data)

    handle_starttag = _opened
    handle_data = _said


@pytest.mark.parametrize(
    ("value", "unit", "text"),
    [
        (Decimal("1234567.891"), Unit.MONEY, "1,234,567.89"),
        (Decimal("-1234.5"), Unit.MONEY, f"{MINUS}1,234.50"),
        (Decimal("-0.001"), Unit.MONEY, "0.00"),
        (-0.0335, Unit.FRACTION, f"{MINUS}3.35%"),
        (12.34, Unit.BASIS_POINTS, "12.3"),
        (1234, Unit.COUNT, "1,234"),
        (2.118, Unit.RATIO, "2.12"),
        (None, Unit.MONEY, "not known"),
        (float("nan"), Unit.RATIO, "not known"),
        (Decimal("Infinity"), Unit.MONEY, "not known"),
        ("n < 30", Unit.RATIO, "n < 30"),
    ],
)
def test_a_figure_is_grouped_signed_and_never_a_number_where_there_is_none(value: Value, unit: Unit, text: str) -> None:
    assert written(value, unit) == text


def test_the_page_loads_nothing_and_allows_nothing_but_its_own_script_and_style() -> None:
    text = document(page(("trend", Decimal(5))))
    read = Read(text)
    for tag, attributes in read.tags:
        for name in ("src", "href", "action", "srcset", "data", "poster", "style"):
            assert attributes.get(name) in (None, "data:,"), (tag, attributes)
        assert not [name for name in attributes if name.startswith("on")], (tag, attributes)
    for style in read.inside["style"]:
        assert "url(" not in style
        assert "@import" not in style
    data, script = read.inside["script"]
    for call in ("fetch(", "XMLHttpRequest", "import(", "WebSocket", "sendBeacon", ".src"):
        assert call not in script
    assert "http" not in re.sub(r"/\*.*?\*/", "", data + script + "".join(read.inside["style"]), flags=re.DOTALL)
    (policy,) = (a["content"] for _, a in read.tags if a.get("http-equiv") == "Content-Security-Policy")
    assert policy is not None
    assert policy.startswith("default-src 'none'; img-src data:; ")
    for word, held in (("script-src", script), ("style-src", "".join(read.inside["style"]))):
        digest = base64.b64encode(hashlib.sha256(held.encode()).digest()).decode()
        assert f"{word} 'sha256-{digest}'" in policy
    assert "unsafe" not in policy


def test_an_id_that_is_markup_stays_words() -> None:
    text = document(replace(page((EVIL, Decimal(1)), name=EVIL), warnings=(EVIL,), no_curve=EVIL, footer=EVIL))
    read = Read(text)
    assert "img" not in [tag for tag, _ in read.tags]
    assert "".join(read.words).count(EVIL) >= 5


def test_a_loss_is_told_by_its_sign_and_not_by_colour_alone() -> None:
    text = document(page(("trend", Decimal("-5")), ("other", None), ("third", Decimal(0))))
    assert f'<td class="number below">{MINUS}5.00</td>' in text
    assert '<td class="number unknown">not known</td>' in text
    assert '<td class="number">0.00</td>' in text


def test_a_table_without_rows_says_why() -> None:
    assert "No strategy has traded." in document(page())
    assert "No strategy has traded." not in document(page(("trend", None)))


def test_every_table_has_a_name_and_heads_for_its_rows_and_columns() -> None:
    read = Read(document(page(("trend", Decimal(5)), months={(2020, 1): 0.01})))
    ids = {attributes["id"] for _, attributes in read.tags if "id" in attributes}
    tables = [attributes for tag, attributes in read.tags if tag == "table"]
    assert len(tables) == 2
    assert all(attributes["aria-labelledby"] in ids for attributes in tables)
    scopes = [attributes["scope"] for tag, attributes in read.tags if tag == "th"]
    assert scopes.count("row") == 2
    assert scopes.count("col") == 2 + 14


def test_a_wide_table_names_every_cell_for_narrow_screens() -> None:
    columns = (Column("Strategy"), *(Column(f"C{number}", Unit.COUNT) for number in range(4)))
    wide = Section("Wide", (), (Table("Wide", columns, (("trend", 1, 2, 3, 4),), ""),))
    cells = [a for tag, a in Read(document(replace(page(), sections=(wide,)))).tags if tag == "td"]
    assert [cell["data-label"] for cell in cells] == ["C0", "C1", "C2", "C3"]
    assert {cell["role"] for cell in cells} == {"cell"}


def test_each_month_is_named_in_its_cell_for_narrow_screens_and_keeps_its_place_in_the_table() -> None:
    cells = [
        attributes
        for tag, attributes in Read(document(replace(page(months={(2020, 3): 0.1}), sections=()))).tags
        if tag == "td"
    ]
    assert [cell.get("data-label") for cell in cells] == [None, None, "Mar", *[None] * 9, "Year"]
    assert {cell["role"] for cell in cells} == {"cell"}


def test_months_stand_under_their_year_and_compound_to_it() -> None:
    text = document(page(months={(2020, 1): 0.1, (2020, 2): -0.1, (2020, 3): None, (2021, 12): None}))
    rows = re.findall(r'<th role="rowheader" scope="row">(\d+)</th>(.*?)</tr>', text)
    cells = {year: re.findall(r"<td[^>]*>(.*?)</td>", row) for year, row in rows}
    assert cells["2020"] == ["10.00%", f"{MINUS}10.00%", "not known", *[""] * 9, f"{MINUS}1.00%"]
    assert cells["2021"] == [*[""] * 11, "not known", "not known"]


def test_one_day_is_no_curve_and_no_month() -> None:
    text = document(replace(page(), curve=None))
    assert "One day is no curve." in text
    assert "There is no month with a return." in text
    assert '<figure id="charts"' not in text


def test_the_chart_library_is_the_one_its_provenance_names() -> None:
    named = dict(re.findall(r"\| `([^`]+)` \| `([0-9a-f]{64})` \|", (VENDOR / "PROVENANCE.md").read_text()))
    files = {path.name for path in VENDOR.iterdir()} - {"PROVENANCE.md"}
    assert set(named) == files
    for name, digest in named.items():
        assert hashlib.sha256((VENDOR / name).read_bytes()).hexdigest() == digest


def rich() -> Page:
    """A page with three years of months, a wide table, long names and large amounts."""
    months = {(year, month): (month - 6) / 100 for year in (2020, 2021, 2022) for month in range(1, 13)}
    columns = (Column("Strategy"), *(Column(f"Figure {number}", Unit.MONEY) for number in range(9)))
    rows: tuple[tuple[Value, ...], ...] = tuple(
        (f"{'volatility-target-trend' * 3}.{row}", *[Decimal("-1234567890.12")] * 9) for row in range(3)
    )
    two = (("what-nobody-would-call-an-account-but-somebody-did" * 2, Decimal("-123456789012.34")),)
    return replace(
        page(*two, name="teapot" * 20, months=months),
        figures=tuple(Figure(f"Figure {n}", Decimal("-1234567890.12"), Unit.MONEY, "USD") for n in range(8)),
        sections=(*page(*two).sections, Section("Wide", (), (Table("Wide", columns, rows, ""),))),
    )


@pytest.mark.skipif(PATH is None, reason="there is no Chromium here")
def test_a_browser_draws_both_curves_and_complains_of_nothing_and_no_width_is_too_narrow(tmp_path: Path) -> None:
    path = tmp_path / "report.html"
    path.write_text(document(rich()), encoding="utf-8")
    with browser(tmp_path) as tab:
        for width in (1280, 390):
            tab.show(path, width)
            assert tab.value("document.documentElement.scrollWidth") <= width, "nothing runs past the edge"
            assert tab.value("document.querySelectorAll('canvas').length") == 2
            shown = tab.value("document.body.innerText")
            assert "990.00" in shown, "the legend shows the newest day"
            assert f"{MINUS}10.00%" in shown
            assert tab.picture().startswith(b"\x89PNG")
        assert tab.complaints == []


@pytest.mark.skipif(PATH is None, reason="there is no Chromium here")
def test_on_a_narrow_screen_each_year_is_a_card_whose_months_all_stand_within_it(tmp_path: Path) -> None:
    path = tmp_path / "report.html"
    path.write_text(document(rich()), encoding="utf-8")
    outside = (
        "[...document.querySelectorAll('.months td, .months tbody th, .cards td, .cards tbody th')]"
        ".filter(cell => cell.getBoundingClientRect().right > innerWidth + 0.5).length"
    )
    tops = "new Set([...document.querySelectorAll('.months tbody tr:first-child td')].map(c => c.offsetTop)).size"
    with browser(tmp_path) as tab:
        tab.show(path, 390)
        assert tab.value("document.querySelectorAll('.months td').length") == 3 * 13
        assert tab.value(outside) == 0
        assert tab.value(tops) == 5, "the year's return, and four quarters below it"
        tab.show(path, 1280)
        assert tab.value(tops) == 1, "wide screens see one line for each year"
