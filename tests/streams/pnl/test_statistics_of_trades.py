"""Statistics of closed trades, with numbers that can be added up by hand."""

import math
from decimal import Decimal

import pytest

from streams.pnl.performance import trades
from streams.pnl.performance.returns import DAY_US
from streams.pnl.performance.trades import BadTrade, ClosedTrade, trade_report

NAN = Decimal("NaN")


def trade(
    pnl: str | Decimal = "1",
    *,
    days: tuple[float, float] = (0, 1),
    quantity: str = "10",
    prices: tuple[str, str] = ("100", "101"),
    fees: str | Decimal = "0.5",
    path: tuple[str, str] | None = None,
    reason: str = "target",
) -> ClosedTrade:
    return ClosedTrade(
        entry_time_us=int(days[0] * DAY_US),
        exit_time_us=int(days[1] * DAY_US),
        quantity=Decimal(quantity),
        entry_price=Decimal(prices[0]),
        exit_price=Decimal(prices[1]),
        pnl=Decimal(pnl),
        fees=Decimal(fees),
        mae=Decimal(path[0]) if path else None,
        mfe=Decimal(path[1]) if path else None,
        entry_reason="signal",
        exit_reason=reason,
    )


def test_wins_losses_and_nothing_each_count_once() -> None:
    results = [30.0, -10.0, 0.0, 20.0, -15.0]
    assert trades.hit_rate(results) == pytest.approx(0.4)
    assert trades.profit_factor(results) == pytest.approx(2.0)
    assert trades.expectancy(results) == pytest.approx(5.0)
    assert trades.payoff(results) == pytest.approx(2.0)
    assert trades.kelly(results) == pytest.approx(0.4 - 0.6 / 2.0)


def test_system_quality_is_the_root_of_n_times_mean_over_deviation() -> None:
    assert trades.sqn([1.0, 3.0]) == pytest.approx(math.sqrt(2) * 2.0 / math.sqrt(2))
    assert math.isnan(trades.sqn([1.0]))
    assert trades.sqn([1.0, 1.0]) == math.inf


def test_no_loss_is_an_infinite_profit_factor_and_no_payoff() -> None:
    assert trades.profit_factor([1.0]) == math.inf
    assert trades.profit_factor([-1.0]) == 0.0
    assert math.isnan(trades.profit_factor([0.0]))
    assert math.isnan(trades.profit_factor([]))
    assert math.isnan(trades.payoff([1.0, 2.0]))
    assert math.isnan(trades.kelly([-1.0]))
    assert math.isnan(trades.hit_rate([]))


def test_turnover_is_notional_in_and_out_over_mean_equity_for_a_year() -> None:
    long, short = trade(prices=("100", "110")), trade(quantity="-5", prices=("20", "-36"))
    assert long.notional == Decimal(2100)
    assert short.notional == Decimal(280)
    half_a_year = int(365.25 * DAY_US / 2)
    assert trades.turnover([long, short], 1000.0, half_a_year) == pytest.approx(2380 / 1000 * 2)
    assert math.isnan(trades.turnover([long], 1000.0, 0))
    assert trades.turnover([], 1000.0, half_a_year) == 0.0


def test_exposure_counts_time_once_where_trades_overlap() -> None:
    open_trades = [trade(days=(2, 5)), trade(days=(0, 3)), trade(days=(4, 4.5)), trade(days=(9, 20))]
    assert trades.exposure(open_trades, 0, 10 * DAY_US) == pytest.approx(0.6)
    assert trades.exposure([], 0, DAY_US) == 0.0
    assert trades.exposure([trade(days=(0, 10))], 0, 10 * DAY_US) == 1.0
    assert math.isnan(trades.exposure([], DAY_US, DAY_US))


def test_a_report_adds_money_exactly_and_splits_it_by_side_and_reason() -> None:
    report = trade_report(
        [
            trade("0.1", days=(0, 1), path=("-3", "4")),
            trade("0.2", days=(1, 4), path=("-1", "2")),
            trade("-0.3", days=(4, 6), quantity="-1", reason="stop"),
            trade("0", days=(6, 6)),
        ]
    )
    assert report.all.pnl == Decimal("0.0")
    assert (report.all.trades, report.all.wins, report.all.fees) == (4, 2, Decimal("2.0"))
    assert (report.long.trades, report.short.trades, report.short.pnl) == (3, 1, Decimal("-0.3"))
    assert list(report.by_exit_reason) == ["stop", "target"]
    assert report.by_exit_reason["target"].pnl == Decimal("0.3")
    assert report.by_entry_reason["signal"].trades == 4
    assert (report.best, report.worst) == (Decimal("0.2"), Decimal("-0.3"))
    assert report.duration_mean_us == pytest.approx(1.5 * DAY_US)
    assert report.duration_median_us == pytest.approx(1.5 * DAY_US)
    assert report.duration_longest_us == 3 * DAY_US
    assert (report.duration_wins_mean_us, report.duration_losses_mean_us) == (2 * DAY_US, 2 * DAY_US)
    assert (report.wins_in_a_row, report.losses_in_a_row) == (2, 1)
    assert (report.path_known, report.mae_mean, report.mfe_mean) == (2, -2.0, 3.0)


def test_streaks_follow_the_order_of_exit() -> None:
    report = trade_report([trade("1", days=(0, 9)), trade("-1", days=(1, 2)), trade("1", days=(3, 4))])
    assert (report.wins_in_a_row, report.losses_in_a_row) == (2, 1)


def test_no_trades_are_a_report_of_nothing() -> None:
    report = trade_report([])
    assert (report.all.trades, report.all.pnl, report.best, report.duration_mean_us) == (0, Decimal(0), None, None)
    assert (report.wins_in_a_row, report.mae_mean) == (0, None)


@pytest.mark.parametrize(
    ("bad", "why"),
    [
        (trade(days=(2, 1)), "ends before it begins"),
        (trade(quantity="0"), "no position"),
        (trade(quantity="NaN"), "no position"),
        (trade(NAN), "finite"),
        (trade(fees=NAN), "finite"),
        (trade(prices=("Infinity", "1")), "finite"),
        (trade(path=("NaN", "1")), "finite"),
    ],
)
def test_a_trade_that_cannot_be_is_refused_with_its_row(bad: ClosedTrade, why: str) -> None:
    with pytest.raises(BadTrade, match=f"row 2: .*{why}") as refusal:
        trade_report([trade(), bad])
    assert refusal.value.row == 2
