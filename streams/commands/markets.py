"""`market`: tell the engine what a venue says of trading in an instrument, where no feed tells it."""

import time
from typing import Annotated, Any

import typer

from streams.commands.connections import checked, connect, mode_of, now_of
from streams.commands.groups import group
from streams.commands.outcome import AsJson, Exit, Stop, say, show_json

market = group("Markets: say that a venue halted an instrument, and that trading goes on.")

InstrumentArgument = Annotated[str, typer.Argument(help="Our id of the instrument.")]
ReasonOption = Annotated[str, typer.Option("--reason", help="The venue's words.")]


def add_to(app: typer.Typer) -> None:
    """Add the commands of this module."""
    app.add_typer(market, name="market")


@market.command()
def halt(instrument: InstrumentArgument, reason: ReasonOption, as_json: AsJson = False) -> None:
    """The venue halted the instrument: every order in it is denied with MARKET_HALTED, and strategies are told."""
    _told(instrument, True, reason, as_json)


@market.command()
def resume(instrument: InstrumentArgument, reason: ReasonOption = "", as_json: AsJson = False) -> None:
    """Trading in the instrument goes on at the venue. This does not lift a stop of our own."""
    _told(instrument, False, reason, as_json)


def _told(instrument: str, halted: bool, reason: str, as_json: bool) -> None:
    """One record for market data and every account, in one transaction; the time of saying it is its version."""
    from schemas.edge import to_jsonable  # noqa: PLC0415 - help must be quick
    from schemas.reference import TradingStatus  # noqa: PLC0415
    from schemas.topics import destinations  # noqa: PLC0415
    from streams.commands.settings_of import settings  # noqa: PLC0415
    from streams.runtime.source import Source  # noqa: PLC0415

    found = connect(settings())
    mode = mode_of(found)
    if mode is None:
        raise Stop(
            f"the environment {found.environment} was never made",
            next_step="name the one that trades in QL_ENVIRONMENT",
            code=Exit.CONFIG,
        )
    fields: dict[str, Any] = {"event_time_us": now_of(found, mode), "version": time.time_ns() // 1000}
    status = checked(TradingStatus, {**fields, "instrument_id": instrument, "halted": halted, "reason": reason})
    source = Source(found.cluster, found.codec, found.environment, "reference", atomic_slot="status")
    try:
        with source.together():
            source.write(status)
    finally:
        source.close()
    topics = " and ".join(topic.name for topic in destinations("reference", TradingStatus))
    say(f"✓ {'halted' if halted else 'resumed'}    {instrument}: in {topics}, in one transaction")
    if as_json:
        show_json(to_jsonable(status))
