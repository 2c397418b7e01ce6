"""`backtest`: recorded markets through all rooms in this process; and the options it shares with `run`."""

from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from typing import TYPE_CHECKING, Annotated, Any

import typer

from streams.commands.outcome import AsJson, Exit, Stop, say, show_json, show_table

if TYPE_CHECKING:
    from streams.replay.plan import Plan

DataOption = Annotated[str, typer.Option("--data", help="Data set by name, or its folder.")]
FromOption = Annotated[str, typer.Option("--from", help="First day, UTC.")]
ToOption = Annotated[str, typer.Option("--to", help="Last day, UTC, included.")]
StrategyOption = Annotated[
    list[str] | None,
    typer.Option("--strategy", help="name or name:parameter=value,...; may be repeated.  [default: all built in]"),
]
CashOption = Annotated[str, typer.Option("--cash", help="Opening deposit in US dollars.")]
NO_CHANGE = "NO_CHANGE"
FIRST, LAST = "2019-01-01", "2020-12-31"
DEFAULT_STRATEGIES = ("follow_signal", "moving_average_cross", "volatility_target_trend")


def add_to(app: typer.Typer) -> None:
    """Add the commands of this module."""
    app.command()(backtest)


def backtest(
    data: DataOption = "oil",
    first: FromOption = FIRST,
    last: ToOption = LAST,
    strategy: StrategyOption = None,
    cash: CashOption = "1000000",
    as_json: AsJson = False,
) -> None:
    """Replay recorded markets through all rooms in this process, with no servers."""
    import time  # noqa: PLC0415 - help must be quick

    plan = plan_of(data, first, last, strategy, cash)
    from streams.replay.backtest import Backtest  # noqa: PLC0415 - slow, and not before the options are right

    begun = time.monotonic()
    replay = Backtest(plan)
    result = replay.run().as_json()
    seconds = time.monotonic() - begun
    result |= {"forecasts": dict(replay.learner.score().rows()) if replay.learner else {}}
    # Nothing is written and nothing waits: no hop takes time.
    result |= {"latency_ms": {}}
    if as_json:
        show_json({"command": "backtest", **result, "seconds": round(seconds, 3)})
        return
    show_summary(result, seconds)
    say("next: quantumleap run · quantumleap backtest --from 2015-01-01 · quantumleap data list")


def plan_of(data: str, first: str, last: str, strategies: list[str] | None, cash: str) -> "Plan":
    """The plan that these options describe. Raises Stop, with the option that is wrong."""
    from connectors.feeds.data_sets import data_set  # noqa: PLC0415 - help must be quick
    from schemas.scalars import DAY_US  # noqa: PLC0415
    from streams.commands.data import imported_folder  # noqa: PLC0415
    from streams.replay.plan import Plan  # noqa: PLC0415

    found = data_set(data, imported_folder())
    from_us, until_us = _day("--from", first), _day("--to", last) + DAY_US
    if from_us >= until_us:
        raise Stop(f"--from {first} is after --to {last}", next_step="exchange them", code=Exit.USAGE)
    try:
        amount = Decimal(cash)
    except InvalidOperation as error:
        raise Stop(
            f"--cash {cash} is not an amount", next_step="give a number, e.g. 1000000", code=Exit.USAGE
        ) from error
    if not (amount.is_finite() and amount > 0):
        raise Stop(f"--cash {cash} is not a positive amount", next_step="give more than 0", code=Exit.USAGE)
    return Plan(
        data_set=found,
        from_us=from_us,
        until_us=until_us,
        deployments=tuple(_deployment(text) for text in strategies or DEFAULT_STRATEGIES),
        cash=amount,
    )


def _day(option: str, text: str) -> int:
    from schemas.scalars import micros_of  # noqa: PLC0415 - help must be quick

    try:
        return micros_of(datetime.strptime(text, "%Y-%m-%d").replace(tzinfo=UTC))
    except ValueError as error:
        raise Stop(f"{option} {text} is not a day", next_step="write it as 2020-04-20", code=Exit.USAGE) from error


def _deployment(text: str) -> Any:
    from streams.replay.plan import Deployment  # noqa: PLC0415 - help must be quick
    from streams.strategies.catalogue import installed  # noqa: PLC0415

    name, _, settings = text.partition(":")
    if name not in (known := installed()):
        raise Stop(
            f"there is no strategy {name!r}",
            why=f"known are {', '.join(sorted(known))}",
            next_step="name one of them, or install a plug-in with the entry point quantumleap.strategies",
            code=Exit.NOT_FOUND,
        )
    pairs = [pair.partition("=") for pair in settings.split(",") if pair]
    if any(not key or not value for key, _, value in pairs):
        raise Stop(f"--strategy {text} cannot be read", next_step="write name:parameter=value,...", code=Exit.USAGE)
    return Deployment(name, tuple((key, value) for key, _, value in pairs))


def show_summary(result: dict[str, Any], seconds: float) -> None:
    """The table that ends a replay. A wish for what is held already is denied an order, but nobody was refused."""
    denied = {code: count for code, count in result["denied_by_code"].items() if code != NO_CHANGE}
    rows = [
        ("P&L after costs", _money(result["pnl"])),
        ("equity", _money(result["equity"])),
        ("max drawdown", _percent(result["max_drawdown"])),
        ("Sharpe", ", ".join(f"{a} {v:.2f}" for a, v in result["sharpe"].items() if v is not None) or "n/a"),
        ("trades, won", f"{result['trades']}, {_percent(result['win_rate'])}"),
        ("fills, fees", f"{result['fills']}, {_money(result['fees'])}"),
        ("orders", result["orders"]),
        ("denied", f"{sum(denied.values())}  {_counts(denied)}"),
        ("no change needed", result["denied_by_code"].get(NO_CHANGE, 0)),
        ("signals", result["signals"]),
        ("refused", f"{result['refused']}  {_counts(result['refused_by_code'])}"),
        ("forecasts", _forecasts(result["forecasts"])),
        ("data findings", _counts(result["findings_by_code"])),
        ("bars", f"{result['bars']} in {seconds:.1f} s"),
        *([("records/s", f"{result['records_per_s']:,.0f}")] if "records_per_s" in result else []),
        *((f"{name.replace('_', ' ')}, ms", f"p50 {hop['p50']:g}  p99 {hop['p99']:g}")
          for name, hop in result["latency_ms"].items()),
        ("result hash", result["result_hash"]),
    ]  # fmt: skip
    show_table("", ("result", ""), rows)


def _forecasts(score: dict[str, Any]) -> str:
    if not score.get("n"):
        return "none with a known outcome"
    return f"{score['n']}, right {score['hit_rate']:.1%}, Brier {score['brier']:.4f} (a coin has 0.25)"


def _money(amount: str | None) -> str:
    return "not known: a mark or conversion is missing" if amount is None else f"{Decimal(amount):,.2f}"


def _counts(counts: dict[str, int]) -> str:
    return " ".join(f"{code} {count}" for code, count in counts.items())


def _percent(share: str | float | None) -> str:
    return "n/a" if share is None else f"{float(share):.2%}"
