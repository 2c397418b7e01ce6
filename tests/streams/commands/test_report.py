"""The figures of a report on a real ClickHouse, above all where there is little or nothing to report."""

import json
import uuid
from collections.abc import Iterator
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from connectors.clickhouse.client import ClickHouse
from connectors.clickhouse.migrate import migrate
from connectors.embedded.clickhouse import ClickHouseServer
from dashboards.report.html import document
from dashboards.report.page import Page
from schemas.control import TradingState
from schemas.execution import Fill
from schemas.order import Side
from schemas.position import PnlDimension, PnlSnapshot, PositionState
from schemas.record import Record
from schemas.reference import Instrument
from schemas.risk import RiskSnapshot
from schemas.scalars import DAY_US
from schemas.topics import ACCOUNTS_EVENTS, MARKET_TICKS, PNL
from streams.commands.report_benchmark import UNKNOWN, ActiveReturn, Against, read_against
from streams.commands.report_figures import EPOCH, AccountUnclear, Figures, NothingRecorded, figures_of
from streams.commands.report_page import page_of
from tests.builders import instrument
from tests.connectors.clickhouse.kept import keep
from tests.streams.commands.test_command_line import quantumleap

pytestmark = pytest.mark.servers
FIRST = 18_322


@pytest.fixture
def server(clickhouse_server: ClickHouseServer) -> Iterator[ClickHouse]:
    """A database of its own, with all tables and views, empty."""
    client = ClickHouse(clickhouse_server.url, f"ql_r{uuid.uuid4().hex[:12]}")
    client.command(f"CREATE DATABASE `{client.database}`")
    yield client
    client.command(f"DROP DATABASE `{client.database}`")
    client.close()


def look(day: int, equity: str, account: str = "alice", deposits: str | None = "1000") -> Record:
    """Risk looks at the account at the end of this day of the test."""
    return RiskSnapshot(
        event_time_us=(FIRST + day) * DAY_US, account_id=account, equity=Decimal(equity), gross_exposure=Decimal(0),
        net_exposure=Decimal(0), leverage=None, drawdown=Decimal(0), day_pnl=Decimal(0), state=TradingState.ACTIVE,
        uses=[], currency="USD", net_deposits=None if deposits is None else Decimal(deposits),
    )  # fmt: skip


def result(day: int, unrealised: str | None, realised: str = "0", member: str = "alice", **changes: Any) -> Record:
    """The result so far at the end of this day of the test."""
    given: dict[str, Any] = {
        "event_time_us": (FIRST + day) * DAY_US, "account_id": "alice", "dimension": PnlDimension.ACCOUNT,
        "member": member, "currency": "USD", "realised_pnl": Decimal(realised), "fees": Decimal(0), "fills": 1,
        "closed_trades": 0, "winning_trades": 0, "turnover": Decimal(100),
        "unrealised_pnl": None if unrealised is None else Decimal(unrealised),
    }  # fmt: skip
    return PnlSnapshot(**{**given, **changes})


def fill(number: int, reference: str | None) -> Record:
    return Fill(
        event_time_us=FIRST * DAY_US + number, account_id="alice", fill_id=f"f{number}", client_order_id=f"o{number}",
        venue="PAPER", instrument_id="TEAPOT", side=Side.BUY, quantity=Decimal(1), price=Decimal(101), currency="USD",
        fee=Decimal("0.5"), fee_currency="USD", realised_pnl=Decimal(0), position_quantity=Decimal(number),
        strategy_id="trend", reference_price=None if reference is None else Decimal(reference),
    )  # fmt: skip


def reported(server: ClickHouse, *records: Record, against: Against = UNKNOWN) -> tuple[Figures, Page]:
    """Figures and page of these records."""
    topics = {PnlSnapshot: PNL, Instrument: MARKET_TICKS}
    migrate(server)
    keep(server, [(topics.get(type(record), ACCOUNTS_EVENTS), record) for record in records])
    figures = figures_of(server, None, against)
    page = page_of(figures, (), "", "today")
    assert page.title in document(page)
    json.dumps(figures.to_json(), default=str, allow_nan=False)
    return figures, page


def shown(page: Page, name: str) -> Any:
    return next(figure.value for figure in page.figures if figure.name == name)


def test_a_database_without_tables_or_equity_or_the_account_is_said_and_not_reported(server: ClickHouse) -> None:
    with pytest.raises(NothingRecorded, match="no tables yet"):
        figures_of(server, None)
    migrate(server)
    with pytest.raises(NothingRecorded, match="no equity of any account"):
        figures_of(server, None)
    keep(server, [(ACCOUNTS_EVENTS, look(0, "1000"))])
    with pytest.raises(NothingRecorded, match="no equity of account 'bob'; there is some of alice"):
        figures_of(server, "bob")


def test_of_several_accounts_one_must_be_named(server: ClickHouse) -> None:
    migrate(server)
    keep(server, [(ACCOUNTS_EVENTS, look(0, "1000")), (ACCOUNTS_EVENTS, look(0, "7", "bob"))])
    with pytest.raises(AccountUnclear, match="alice, bob"):
        figures_of(server, None)
    assert figures_of(server, "bob").equity == 7


def test_an_account_that_never_traded_says_so(server: ClickHouse) -> None:
    figures, page = reported(server, *(look(day, "1000") for day in range(40)), result(0, "0", fills=0))
    assert any("There are no fills" in warning for warning in page.warnings)
    assert figures.summary is not None
    assert figures.summary["sharpe"].value is None
    assert shown(page, "Sharpe ratio") == "the returns do not differ"
    assert shown(page, "Return") == 0
    filled = [table for section in page.sections[:3] for table in section.tables if table.rows]
    assert not filled


def test_one_day_has_no_curve_no_month_and_no_statistics(server: ClickHouse) -> None:
    figures, page = reported(server, look(0, "1000"), result(0, "0"))
    assert (page.curve, page.months) == (None, {})
    assert figures.summary is not None
    assert shown(page, "Return") == "n = 0"
    assert shown(page, "Sharpe ratio") == "n = 0"


def test_fewer_than_thirty_days_are_said_in_place_of_a_sharpe_ratio(server: ClickHouse) -> None:
    _, page = reported(server, *(look(day, str(1000 + day % 3)) for day in range(30)), result(29, "2"))
    assert shown(page, "Sharpe ratio") == "n < 30"


def test_thirty_returns_are_enough_for_a_sharpe_ratio(server: ClickHouse) -> None:
    _, page = reported(server, *(look(day, str(1000 + day % 3)) for day in range(31)), result(30, "0"))
    assert isinstance(shown(page, "Sharpe ratio"), float)


@pytest.mark.parametrize("equity", ["0", "-50"])
def test_equity_of_zero_or_less_has_no_statistics_and_is_shown_as_it_is(server: ClickHouse, equity: str) -> None:
    figures, page = reported(server, look(0, "1000"), look(1, equity), look(2, "10"), result(2, "-990"))
    assert figures.summary is None
    assert any(warning.startswith("Statistics are not computed: row 2: equity of") for warning in page.warnings)
    assert page.curve is not None
    assert page.curve.equity[1] == float(equity)
    assert shown(page, "Sharpe ratio") is None
    assert figures.max_drawdown == pytest.approx(1)


def test_a_position_without_a_mark_makes_the_result_unknown_and_not_zero(server: ClickHouse) -> None:
    held = PositionState(
        event_time_us=FIRST * DAY_US, account_id="alice", instrument_id="TEAPOT", quantity=Decimal(1), currency="USD",
        realised_pnl=Decimal(5), fees=Decimal(0),
    )  # fmt: skip
    blind = {"dimension": PnlDimension.INSTRUMENT, "member": "TEAPOT"}
    figures, page = reported(
        server, look(0, "1000"), look(1, "1005"), held, result(1, None, "5"), result(1, None, "5", **blind)
    )
    assert figures.account is not None
    assert figures.account.pnl is None
    assert shown(page, "P&L after fees") is None
    assert any("TEAPOT: a mark or conversion is missing" in warning for warning in page.warnings)
    (row,) = page.sections[0].tables[2].rows
    assert row[:4] == ("TEAPOT", None, Decimal(5), None)


def test_a_deposit_is_no_return(server: ClickHouse) -> None:
    figures, page = reported(
        server, look(0, "1000"), look(1, "1100"), look(2, "1600", deposits="1500"), result(2, "100")
    )
    assert figures.summary is not None
    assert figures.summary["total_return"].value == pytest.approx(0.1)
    assert figures.max_drawdown == 0
    assert page.warnings == ("There are no fills: nothing was traded, so equity only shows what was paid in.",)


def test_equity_that_is_not_deposits_and_result_is_told(server: ClickHouse) -> None:
    _, page = reported(server, look(0, "1000"), look(1, "1100"), result(1, "99.98"))
    assert any("Equity differs from deposits and P&L by 0.02 USD" in warning for warning in page.warnings)


def test_fills_without_a_price_of_decision_are_counted_and_left_out(server: ClickHouse) -> None:
    figures, page = reported(server, look(0, "1000"), fill(1, "100"), fill(2, None), result(0, "0"))
    (row,) = figures.executions
    assert (row.fills, row.slippage, row.notional) == (1, Decimal(1), Decimal(101))
    assert row.mean_bps == pytest.approx(1 / 101 * 10_000)
    assert any(warning.startswith("1 fills have no price of decision") for warning in page.warnings)
    assert (figures.fills, figures.fees) == (2, {"USD": Decimal(1)})


def held(day: int, worth: str) -> Record:
    """What is held of the teapot at the end of this day of the test."""
    return PositionState(
        event_time_us=(FIRST + day) * DAY_US, account_id="alice", instrument_id="TEAPOT", quantity=Decimal(1),
        currency="USD", realised_pnl=Decimal(0), fees=Decimal(0), notional=Decimal(worth), conversion=Decimal(1),
        mark=Decimal(worth), unrealised_pnl=Decimal(0),
    )  # fmt: skip


def of_teapot(day: int, pnl: str) -> Record:
    return result(day, pnl, dimension=PnlDimension.INSTRUMENT, member="TEAPOT")


SECTORS = "sector,weight,return\nkitchen,0.6,0.05\nCASH,0.4,0\n"


def test_against_sectors_of_a_benchmark_the_account_is_told_what_each_added(server: ClickHouse, tmp_path: Path) -> None:
    (tmp_path / "sectors.csv").write_text(SECTORS)
    figures, page = reported(
        server, look(0, "1000"), look(1, "1090"), held(0, "900"), held(1, "990"), of_teapot(0, "0"), of_teapot(1, "90"),
        result(1, "90"), instrument("TEAPOT", sector="kitchen"),
        against=read_against(None, tmp_path / "sectors.csv"),
    )  # fmt: skip
    assert isinstance(figures.active, ActiveReturn)
    kitchen, cash = figures.active.added["kitchen"], figures.active.added["CASH"]
    assert (figures.active.performance, figures.active.benchmark) == pytest.approx((0.09, 0.03))
    assert (kitchen.allocation, kitchen.selection, kitchen.interaction) == pytest.approx((0.006, 0.03, 0.015))
    assert (cash.allocation, cash.selection, cash.interaction) == pytest.approx((0.009, 0.0, 0.0))
    (table,) = (table for table in page.sections[0].tables if "Brinson" in table.caption)
    assert table.rows[-1] == ("the account", 1.0, 1.0, *map(pytest.approx, (0.09, 0.03, 0.015, 0.03, 0.015, 0.06)))
    assert figures.to_json()["active"]["by_sector"]["kitchen"]["selection"] == kitchen.selection


def test_against_its_own_equity_an_account_has_a_beta_of_one(server: ClickHouse, tmp_path: Path) -> None:
    looks = [look(day, str(1000 + day % 7)) for day in range(60)]
    rows = [f"{EPOCH + timedelta(FIRST + day - 1)},{1000 + day % 7}" for day in range(60)]
    (tmp_path / "own.csv").write_text("\n".join(["time,equity", *rows]))
    figures, page = reported(server, *looks, result(59, "3"), against=read_against(tmp_path / "own.csv", None))
    assert figures.summary is not None
    assert figures.summary["beta"].value == pytest.approx(1.0)
    assert figures.summary["tracking_error"].value == pytest.approx(0.0, abs=1e-12)
    (table,) = (table for section in page.sections for table in section.tables if "own.csv" in table.caption)
    assert any(row[0] == "Beta" for row in table.rows)


def test_what_each_strategy_adds_to_risk_is_on_the_page_and_adds_up(server: ClickHouse) -> None:
    """Trend earns all that moves, carry hedges a part of it."""
    records: list[Record] = []
    for day in range(40):
        trend, carry = Decimal(day % 5 * 10), Decimal(-(day % 5) * 2)
        records += [look(day, str(1000 + trend + carry)), result(day, str(trend + carry))]
        for name, pnl in (("trend", trend), ("carry", carry)):
            records.append(result(day, str(pnl), dimension=PnlDimension.STRATEGY, member=name))
    figures, page = reported(server, *records)
    assert figures.risk is not None
    (table,) = (table for table in page.sections[0].tables if "adds to the account's volatility" in table.caption)
    (trend_row, carry_row, whole) = table.rows
    assert [row[0] for row in table.rows] == ["trend", "carry", "the account"]
    assert trend_row[1] + carry_row[1] == pytest.approx(whole[1])  # type: ignore[operator]  # both are numbers here
    assert [trend_row[2], carry_row[2]] == pytest.approx([1.25, -0.25])


def test_the_command_compares_with_what_it_is_given_and_refuses_what_is_no_benchmark(
    server: ClickHouse, tmp_path: Path
) -> None:
    reported(server, look(0, "1000"), look(1, "1010"), result(1, "10"))
    environment = {"QL_CLICKHOUSE_URL": server.url, "QL_ENVIRONMENT": server.database.removeprefix("ql_")}
    (tmp_path / "sectors.csv").write_text(SECTORS)
    told = quantumleap("report", "--json", "--benchmark-sectors", "sectors.csv", cwd=tmp_path, **environment)
    assert json.loads(told.stdout)["active"]["return"] == pytest.approx(0.01)
    (tmp_path / "sectors.csv").write_text("sector,weight,return\nkitchen,0.6,0.05\n")
    refused = quantumleap("report", "--json", "--benchmark-sectors", "sectors.csv", cwd=tmp_path, **environment)
    assert refused.returncode != 0
    assert "the weights add to 0.6" in refused.stderr


def test_the_command_writes_a_file_or_prints_the_figures(server: ClickHouse, tmp_path: Path) -> None:
    reported(server, look(0, "1000"), look(1, "1010"), result(1, "10"))
    environment = {"QL_CLICKHOUSE_URL": server.url, "QL_ENVIRONMENT": server.database.removeprefix("ql_")}
    told = quantumleap("report", "--json", cwd=tmp_path, **environment)
    assert json.loads(told.stdout)["equity"] == "1010.000000000000"
    assert list(tmp_path.iterdir()) == []
    wrote = quantumleap("report", "--out", "alice.html", cwd=tmp_path, **environment)
    assert wrote.stdout == ""
    assert "1,010.00" in (tmp_path / "alice.html").read_text()


def test_the_command_says_what_it_lacks(server: ClickHouse, tmp_path: Path) -> None:
    environment = {"QL_CLICKHOUSE_URL": server.url, "QL_ENVIRONMENT": server.database.removeprefix("ql_")}
    empty = quantumleap("report", cwd=tmp_path, **environment)
    assert (empty.returncode, "there is nothing to report" in empty.stderr) == (6, True)
    migrate(server)
    keep(server, [(ACCOUNTS_EVENTS, look(0, "1000")), (ACCOUNTS_EVENTS, look(0, "7", "bob"))])
    several = quantumleap("report", cwd=tmp_path, **environment)
    assert (several.returncode, "name one with --account" in several.stderr) == (2, True)
    nowhere = quantumleap("report", "--account", "bob", "--out", "no/such/place.html", cwd=tmp_path, **environment)
    assert (nowhere.returncode, "cannot be written" in nowhere.stderr) == (2, True)
    absent = quantumleap("report", cwd=tmp_path)
    assert (absent.returncode, "no ClickHouse runs" in absent.stderr) == (4, True)
