"""Every defect counted in the shared recorded markets is found by a rule, or it is said here why it is not.

The figures are those of the sets' own list of defects; files that are not on this machine are skipped.
"""

from decimal import Decimal
from typing import Any

import msgspec
import pytest

from connectors.feeds.data_sets import data_set
from connectors.feeds.tables import Batch, ColumnMapping, Shape, cut
from connectors.reference.sessions import trading_session
from schemas.market import BarBatch, Heartbeat, Mark, MarketCondition, QualityFinding, QuoteBatch
from schemas.record import Record
from schemas.reference import Instrument, InstrumentClass, Session, TradingSession
from schemas.scalars import DAY_US, SECOND_US, iso_of, micros_of
from tests.connectors.feeds.shared_sets import (
    HOUR_US,
    LEAN_CRYPTO_DAILY,
    LEAN_EQUITY_DAILY,
    LEAN_QUOTES,
    MINUTE_US,
    QUOTE_BAR_OPEN,
    batch,
    instrument,
    lean_minute_quotes,
    lean_minutes,
)
from tests.streams.market_data.market import Exchange

FX = {"instrument_class": InstrumentClass.FX, "tick_size": Decimal("0.00001")}
COINS = {"price_unit": "1", "price_exponent": -8, "size_exponent": -8}
BTC = instrument(
    "BTCUSD", instrument_class=InstrumentClass.CRYPTO_SPOT, has_volume=True, tick_size=Decimal("0.00000001")
)


def told(market: Instrument, *batches: Batch, before: tuple[Record, ...] = (), rows: int = 500) -> Exchange:
    """An exchange that was told these batches in order of time, in pieces."""
    exchange = Exchange(market, *before)
    pieces = [
        cut(whole, at, min(at + rows, len(whole.times_us)))
        for whole in batches
        for at in range(0, len(whole.times_us), rows)
    ]
    for piece in sorted(pieces, key=lambda piece: piece.times_us[0]):
        exchange.tell(piece)
    return exchange


def found(exchange: Exchange, code: str, action: str | None = None) -> list[QualityFinding]:
    return [
        finding
        for finding in exchange.all(QualityFinding)
        if finding.code == code and action in (None, str(finding.action))
    ]


def days(findings: list[QualityFinding]) -> list[str]:
    return [iso_of(finding.event_time_us)[:10] for finding in findings]


def minutes(findings: list[QualityFinding]) -> set[str]:
    return {iso_of(finding.event_time_us)[:16] for finding in findings}


def oil(instrument_id: str, **changes: Any) -> Exchange:
    """The shipped set; the changes are made to the instrument."""
    known = {one.instrument_id: one for one in data_set("oil").instruments}
    exchange = Exchange(msgspec.structs.replace(known[instrument_id], **changes))
    for step in data_set("oil").steps():
        if step.instrument_id == instrument_id:
            exchange.tell(*step.records)
    return exchange


def test_wti_at_minus_36_98_passes_flagged_where_negative_prices_are_legal() -> None:
    exchange = oil("WTI")
    assert [(item.value, str(item.action)) for item in found(exchange, "NEGATIVE_PRICE")] == [("-36.98", "FLAGGED")]
    outliers = days(found(exchange, "OUTLIER", "FLAGGED"))
    assert {"2020-04-20", "2020-04-21"} <= set(outliers)
    assert len(exchange.all(Mark)) == 10_226
    assert min(mark.last for mark in exchange.all(Mark)) == Decimal("-36.98")


def test_wti_at_minus_36_98_is_refused_where_negative_prices_are_illegal() -> None:
    exchange = oil("WTI", price_may_be_negative=False)
    assert [(item.value, str(item.action)) for item in found(exchange, "NEGATIVE_PRICE")] == [("-36.98", "REFUSED")]
    assert len(exchange.all(Mark)) == 10_225


def test_after_the_negative_price_wti_has_no_log_volatility_for_a_window_and_is_stressed() -> None:
    after = [
        condition
        for condition in oil("WTI").all(MarketCondition)
        if "2020-04-20" <= iso_of(condition.event_time_us)[:10] <= "2020-04-30"
    ]
    assert len(after) == 9
    assert all(condition.ewma_volatility is None for condition in after)
    assert {str(condition.regime) for condition in after} == {"STRESSED"}
    assert after[0].price_volatility is not None
    assert after[0].price_volatility > 10


@pytest.mark.parametrize(("instrument_id", "weekdays"), [("WTI", 373), ("BRENT", 282)])
def test_every_weekday_without_an_oil_price_is_in_a_gap(instrument_id: str, weekdays: int) -> None:
    assert sum(int(item.value) for item in found(oil(instrument_id), "GAP")) == weekdays


def test_true_moves_of_brent_are_flagged_and_go_on() -> None:
    exchange = oil("BRENT")
    assert {"2020-04-21", "2020-04-22"} <= set(days(found(exchange, "OUTLIER", "FLAGGED")))
    assert len(exchange.all(Mark)) == 9_958


def vix() -> Exchange:
    mapping = ColumnMapping(
        shape=Shape.BARS,
        columns={"time": "DATE", "open": "OPEN", "high": "HIGH", "low": "LOW", "close": "CLOSE"},
        time_of_day="21:00",
        interval_us=DAY_US,
        price_exponent=-6,
    )
    market = instrument("VIX", calendar="24/5", tick_size=Decimal("0.000001"))
    return told(market, batch("vix/vix-daily.csv", mapping, "VIX"))


def test_the_47_vix_rows_whose_open_is_outside_the_range_are_refused() -> None:
    refused = found(vix(), "BAR_RANGE", "REFUSED")
    assert len(refused) == 47
    assert (days(refused)[0], days(refused)[-1]) == ("1992-02-11", "2006-02-08")
    assert refused[-1].value.startswith("41.600000/13.610000/")


def test_the_506_vix_rows_without_a_range_are_two_runs_and_leave_estimators_of_ranges_absent() -> None:
    exchange = vix()
    flat = found(exchange, "FLAT_BAR")
    assert [(day, item.value) for day, item in zip(days(flat), flat, strict=True)] == [
        ("1990-01-02", "17.240000"),
        ("1992-01-02", "505"),
        ("2004-06-11", "15.040000"),
    ]
    in_1991 = [c for c in exchange.all(MarketCondition) if iso_of(c.event_time_us).startswith("1991")]
    assert all(condition.parkinson_volatility is None for condition in in_1991)
    assert in_1991[0].close_to_close_volatility is not None


def test_the_true_jump_of_the_vix_is_flagged() -> None:
    assert "2018-02-05" in days(found(vix(), "OUTLIER", "FLAGGED"))


def rates(country: str, *heartbeats: Record) -> Exchange:
    mapping = ColumnMapping(
        shape=Shape.BARS,
        columns={"time": "Date", "close": "Exchange rate"},
        where={"Country": country},
        interval_us=30 * DAY_US,
        price_exponent=-12,
    )
    whole = batch("fx/exchange-rates-monthly.csv", mapping, "USDVES", "fred")
    market = instrument("USDVES", instrument_class=InstrumentClass.FX, tick_size=Decimal("0.000000000001"))
    exchange = told(market, whole)
    exchange.tell(*heartbeats)
    return exchange


def test_redenominations_of_venezuela_are_flagged() -> None:
    assert {"2018-02-01", "2018-09-01", "2021-11-01"} & set(days(found(rates("Venezuela"), "OUTLIER"))) == {
        "2018-02-01",
        "2018-09-01",
        "2021-11-01",
    }


def test_a_currency_that_ended_in_2001_is_stale_as_soon_as_its_feed_says_that_it_is_alive() -> None:
    alive = Heartbeat(event_time_us=micros_of_day("2003-01-01"), feed_id="fred")
    exchange = rates("Austria", alive)
    assert [item.detail for item in found(exchange, "STALE")] == [
        "bars/2592000000000 silent since 2001-12-01T00:00:00Z"
    ]
    assert exchange.all(MarketCondition)[-1].status == "STALE"


def test_the_stated_direction_of_a_rate_is_no_rule_of_quality() -> None:
    """A rate of 0.75 pounds a dollar is as good a number as 1.33: only what is known of the instrument can tell."""
    assert not found(rates("United Kingdom"), "OUTLIER", "REFUSED")


def micros_of_day(day: str) -> int:
    from datetime import UTC, datetime  # noqa: PLC0415  # one use

    return micros_of(datetime.fromisoformat(day).replace(tzinfo=UTC))


def shares(name: str) -> Exchange:
    market = instrument(
        name.upper(),
        instrument_class=InstrumentClass.EQUITY,
        has_volume=True,
        calendar="XNYS",
        tick_size=Decimal("0.0001"),
    )
    whole = batch(f"lean/equity/usa/daily/{name}.zip", LEAN_EQUITY_DAILY, name.upper())
    return told(market, whole, before=(new_york(),))


def new_york() -> TradingSession:
    return trading_session("XNYS", micros_of_day("1998-01-01"), micros_of_day("2021-04-02"), at_us=1)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "splits"),
    [
        ("aapl", {"2000-06-22": "2", "2005-03-01": "2", "2014-06-10": "7", "2020-09-01": "4"}),
        ("ibm", {"1999-05-28": "2"}),
        ("bac", {"2004-08-31": "2"}),
        ("spy", {}),
    ],
)
def test_splits_of_raw_shares_are_suspected_and_real_crashes_are_not(name: str, splits: dict[str, str]) -> None:
    """Days are those of the end of the bar, midnight in New York. AAPL at 53.38 -> 25.81 (end 2000-09-30) is real."""
    exchange = shares(name)
    suspected = found(exchange, "SPLIT_SUSPECTED")
    assert dict(zip(days(suspected), (item.value for item in suspected), strict=True)) == splits
    assert not found(exchange, "GAP"), "no gaps beyond market closures"
    assert not found(exchange, "BAR_RANGE")
    assert not found(exchange, "DUPLICATE")


@pytest.mark.parametrize(
    ("day", "late"),
    [
        ("2013-10-07", {"2013-10-07T21:05"}),  # 17:04 in New York, said with its end
        ("2013-10-11", {"2013-10-11T20:17", "2013-10-11T21:31"}),
    ],
)
def test_late_prints_after_the_close_are_flagged(day: str, late: set[str]) -> None:
    market = instrument("SPY", instrument_class=InstrumentClass.ETF, has_volume=True, tick_size=Decimal("0.0001"))
    name = f"lean/equity/usa/minute/spy/{day.replace('-', '')}_trade.zip"
    exchange = told(market, batch(name, lean_minutes(day, "America/New_York"), "SPY"))
    assert late <= minutes(found(exchange, "OUTLIER", "FLAGGED"))


def test_locked_minutes_of_spy_are_flagged_and_none_is_crossed() -> None:
    market = instrument("SPY", instrument_class=InstrumentClass.ETF, has_volume=True, tick_size=Decimal("0.0001"))
    locked = []
    for day in range(7, 12):
        name = f"lean/equity/usa/minute/spy/201310{day:02}_quote.zip"
        mapping = lean_minute_quotes(f"2013-10-{day:02}", "America/New_York", price_unit="0.0001")
        exchange = told(market, batch(name, mapping, "SPY"))
        locked.append(exchange.codes().get("LOCKED", 0))
        assert "CROSSED" not in exchange.codes()
    assert (min(locked), max(locked)) == (11, 23)


def test_missing_days_and_one_trade_bars_of_bitcoin_are_found() -> None:
    """The low of 109.87 on 2015-01-14 and the day after are not outliers: there were not yet 20 moves to judge by."""
    exchange = told(BTC, batch("lean/crypto/coinbase/daily/btcusd_trade.zip", LEAN_CRYPTO_DAILY, "BTCUSD"))
    gaps = found(exchange, "GAP")
    assert (len(gaps), sum(int(item.value) for item in gaps)) == (8, 34)
    assert [item.value for item in found(exchange, "FLAT_BAR")] == ["377.10000000", "2", "260.00000000"]
    assert not [day for day in days(found(exchange, "OUTLIER")) if day < "2015-02-01"]


def bitcoin_quotes(columns: dict[str, str | int]) -> Exchange:
    mapping = msgspec.structs.replace(LEAN_QUOTES, columns=columns)
    market = msgspec.structs.replace(BTC, tick_bar_us=DAY_US)
    return told(market, batch("lean/crypto/coinbase/daily/btcusd_quote.zip", mapping, "BTCUSD"))


def test_the_crossed_open_the_locked_close_and_the_gaps_of_bitcoin_quotes_are_found() -> None:
    """The widest spread, 79.92 on 2017-12-10, breaks no rule: a spread is a cost, and the paper broker charges it."""
    opens, closes = bitcoin_quotes(dict(QUOTE_BAR_OPEN)), bitcoin_quotes(dict(LEAN_QUOTES.columns))
    crossed = found(opens, "CROSSED", "REFUSED")
    assert [(day, item.value) for day, item in zip(days(crossed), crossed, strict=True)] == [
        ("2016-05-09", "461.88000000/461.19000000")
    ]
    assert days(found(closes, "LOCKED")) == ["2016-05-03"]
    assert [item.value for item in found(closes, "GAP")] == ["2", "1", "1", "2"]


def test_trades_that_stop_while_quotes_go_on_are_stale() -> None:
    name = "lean/crypto/coinbase/minute/btcusd/20180404"
    trades = batch(f"{name}_trade.zip", lean_minutes("2018-04-04", "UTC", **COINS), "BTCUSD")
    quotes = batch(f"{name}_quote.zip", lean_minute_quotes("2018-04-04", "UTC"), "BTCUSD")
    assert isinstance(trades, BarBatch)
    exchange = told(BTC, trades, quotes, rows=1)
    stale = found(exchange, "STALE")
    assert [item.detail for item in stale] == ["bars/60000000 silent since 2018-04-04T16:48:00Z"]
    assert sum(int(item.value) for item in found(exchange, "GAP")) >= 1
    assert exchange.all(Mark)[-1].event_time_us == quotes.times_us[-1], "quotes make the marks from then on"


def test_minutes_missing_from_bitcoin_quotes_are_gaps() -> None:
    name = "lean/crypto/coinbase/minute/btcusd/20180405_quote.zip"
    exchange = told(BTC, batch(name, lean_minute_quotes("2018-04-05", "UTC"), "BTCUSD"))
    assert sum(int(item.value) for item in found(exchange, "GAP")) == 3, "1439 is the end of the file"


def fx_week(first: str, last: str) -> TradingSession:
    """Sunday to Friday, 22:00 UTC: how currencies trade, roughly; no exchange keeps their calendar."""
    start, end = micros_of_day(first), micros_of_day(last)
    sunday = start - (start // DAY_US + 4) % 7 * DAY_US
    weeks = range(sunday, end, 7 * DAY_US)
    sessions = [Session(opens_us=week + 21 * HOUR_US, closes_us=week + 5 * DAY_US + 22 * HOUR_US) for week in weeks]
    return TradingSession(event_time_us=1, calendar="FX", version=1, sessions=sessions, covers_until_us=end)


@pytest.mark.slow
def test_crossed_and_locked_hours_of_euros_are_found() -> None:
    market = instrument("EURUSD", **FX, tick_bar_us=HOUR_US)
    name = "lean/forex/fxcm/hour/eurusd.zip"
    closes = told(market, batch(name, LEAN_QUOTES, "EURUSD"))
    opens = told(market, batch(name, msgspec.structs.replace(LEAN_QUOTES, columns=QUOTE_BAR_OPEN), "EURUSD"))
    assert (closes.codes()["CROSSED"], closes.codes()["LOCKED"], opens.codes()["CROSSED"]) == (2_613, 1_550, 2_961)


def test_the_week_without_daily_euros_is_a_gap_and_weekends_are_not() -> None:
    """Sunday bars are ordinary: the FX week begins on Sunday evening. Only 2016-12-09 leaves more than a holiday."""
    market = instrument("EURUSD", **FX, tick_bar_us=DAY_US, calendar="24/5")
    exchange = told(market, batch("lean/forex/oanda/daily/eurusd.zip", LEAN_QUOTES, "EURUSD"), rows=1)
    long_gaps = [item for item in found(exchange, "GAP") if int(item.value) >= 3]
    assert days(long_gaps) == ["2016-12-17"]
    assert "2016-12-10" in long_gaps[0].detail


def test_crossed_and_locked_minutes_of_pounds_are_found_and_single_missing_ones_are_gaps() -> None:
    columns: dict[str, str | int] = {"time": "timestamp", "close": "close"}
    mapping = ColumnMapping(shape=Shape.BARS, columns=columns, interval_us=MINUTE_US, price_exponent=-5)
    bid = batch("nautilus/fxcm/gbpusd-m1-bid-2012.csv", mapping, "GBPUSD")
    ask = batch("nautilus/fxcm/gbpusd-m1-ask-2012.csv", mapping, "GBPUSD")
    assert isinstance(bid, BarBatch)
    assert isinstance(ask, BarBatch)
    assert bid.times_us == ask.times_us
    both = QuoteBatch(
        event_time_us=bid.event_time_us,
        instrument_id="GBPUSD",
        feed_id="fxcm",
        sequence=1,
        price_exponent=-5,
        size_exponent=0,
        times_us=bid.times_us,
        bids=bid.closes,
        asks=ask.closes,
    )
    week = fx_week("2012-01-29", "2012-03-05")
    exchange = told(instrument("GBPUSD", **FX, calendar="FX"), both, before=(week,))
    assert (exchange.codes()["CROSSED"], exchange.codes()["LOCKED"]) == (347, 306)
    gaps = found(exchange, "GAP")
    single = [item for item in gaps if item.value == "1"]
    assert len(single) > 100
    assert sum(int(item.value) for item in gaps if iso_of(item.event_time_us)[:10] == "2012-02-06") < 60, "no weekend"


def test_quote_ticks_are_clean() -> None:
    """164 of them repeat the quote before at a later time: that says that the market is alive, and is no defect."""
    mapping = ColumnMapping(
        shape=Shape.QUOTES,
        columns={"time": 0, "bid": 1, "ask": 2},
        header=False,
        time_format="%Y%m%d %H%M%S%f",
        price_exponent=-6,
    )
    market = instrument("EURUSD", instrument_class=InstrumentClass.FX, tick_size=Decimal("0.000001"))
    exchange = told(market, batch("nautilus/quote_tick_data.csv", mapping, "EURUSD"))
    assert not {"DUPLICATE", "OUT_OF_ORDER", "CROSSED", "LOCKED", "GAP"} & set(exchange.codes())


def test_repeated_times_the_odd_time_format_the_lock_and_the_pause_of_yen_are_found() -> None:
    mapping = ColumnMapping(
        shape=Shape.QUOTES, columns={"time": "timestamp", "bid": "bid", "ask": "ask"}, price_exponent=-3
    )
    whole = batch("nautilus/truefx/usdjpy-ticks.csv", mapping, "USDJPY")
    assert len(whole.times_us) == 1000, "the time without a fraction is read like any other"
    exchange = told(instrument("USDJPY", instrument_class=InstrumentClass.FX, tick_size=Decimal("0.001")), whole)
    assert (exchange.codes()["DUPLICATE"], exchange.codes()["LOCKED"]) == (7, 1)
    assert int(found(exchange, "GAP")[0].value) == 1
    assert (whole.times_us[1] - whole.times_us[0]) / SECOND_US == pytest.approx(155.6, abs=0.1)


@pytest.mark.slow
def test_the_perpetual_is_complete() -> None:
    """4,293 minutes open elsewhere than the one before closed: each opens at its own first trade, as it should."""
    columns: dict[str, str | int] = {"time": "timestamp"}
    columns |= {name: name for name in ("open", "high", "low", "close", "volume")}
    mapping = ColumnMapping(
        shape=Shape.BARS, columns=columns, interval_us=MINUTE_US, price_exponent=-4, size_exponent=-8, rounds=True
    )
    market = instrument(
        "BTC", instrument_class=InstrumentClass.CRYPTO_PERPETUAL, has_volume=True, tick_size=Decimal("0.0001")
    )
    exchange = told(market, batch("nautilus/btc-perp-20211231-20220201_1m.csv", mapping, "BTC"))
    assert not {"GAP", "DUPLICATE", "OUT_OF_ORDER", "BAR_RANGE"} & set(exchange.codes())
    assert len(exchange.all(Mark)) == 45_031


def test_google_is_clean_and_its_unnamed_column_is_read() -> None:
    columns: dict[str, str | int] = {"time": ""}
    columns |= {name.lower(): name for name in ("Open", "High", "Low", "Close")}
    mapping = ColumnMapping(shape=Shape.BARS, columns=columns, time_of_day="21:00", interval_us=DAY_US)
    market = instrument("GOOG", instrument_class=InstrumentClass.EQUITY, calendar="XNYS")
    exchange = told(market, batch("backtesting/GOOG.csv", mapping, "GOOG"), before=(new_york(),))
    assert not {"GAP", "DUPLICATE", "OUT_OF_ORDER", "BAR_RANGE", "SPLIT_SUSPECTED"} & set(exchange.codes())
