"""`replay`: recorded inputs through the rules once more, held against what came of them."""

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import typer

from streams.commands.groups import group
from streams.commands.outcome import AsJson, Exit, Stop, say, show_json

replay = group("Recorded inputs through the rules once more.")
FileArgument = Annotated[Path, typer.Argument(help="One JSON object a line.")]


def add_to(app: typer.Typer) -> None:
    """Add the commands of this module."""
    app.add_typer(replay, name="replay")


@replay.command()
def inbox(
    account: Annotated[str, typer.Option(help="Compare one account only.")] = "",
    as_json: AsJson = False,
) -> None:
    """Fold the recorded inbox of accounts again and hold every decision against the record, byte for byte."""
    from streams.commands.connections import connect  # noqa: PLC0415 - help must be quick
    from streams.commands.settings_of import settings  # noqa: PLC0415
    from streams.replay.refold import lines, refold  # noqa: PLC0415

    found = connect(settings())
    result = refold(found.cluster, found.codec, found.environment, account)
    if account and account not in result.accounts:
        raise Stop(
            f"nothing is recorded of account {account}", next_step="look at the accounts without --account",
            code=Exit.NOT_FOUND,
        )  # fmt: skip
    if as_json:
        differences = [difference._asdict() for difference in result.differences]
        show_json({"command": "replay inbox", **result._asdict(), "differences": differences, "equal": result.equal})
    else:
        for line in lines(result):
            print(line)
        counts = ", ".join(f"{count} of {topic}" for topic, count in result.compared.items())
        say(f"{result.inputs} records folded again; compared: {counts}; {len(result.accounts)} accounts")
        if result.waiting:
            say(f"{result.waiting} records of the inbox are not folded yet and were left out")
    if not result.equal:
        raise Stop(
            f"{len(result.differences) + len(result.parked)} sequences differ from the record",
            why="the rules have changed since, or what is recorded is not of this inbox",
            next_step="`quantumleap verify` names ids; a new version of a rule explains itself in CHANGELOG",
        )
    say("every decision is what the inbox says it must be")


@replay.command()
def orders(file: FileArgument, as_json: AsJson = False) -> None:
    """Fold a file of execution reports, and of our own submit, cancel and replace commands, into orders; prints JSON.

    A line is an ExecutionReport; others name themselves: {"record": "SubmitOrder", ...}, CancelOrder, ReplaceOrder,
    NotSent. Nothing is printed unless every line can be read.
    """
    from streams.replay.files import WrongLine, orders_of, read_records  # noqa: PLC0415 - help must be quick

    del as_json
    try:
        show_json(orders_of(read_records(_lines(file), "ExecutionReport")))
    except WrongLine as error:
        raise _wrong(file, error) from error


@replay.command()
def fills(file: FileArgument, as_json: AsJson = False) -> None:
    """Fold a file of fills into positions by average cost; prints JSON.

    A line needs instrument_id, side, quantity and price; what else a Fill has is optional. Where it says its own
    realised_pnl or position_quantity, these are compared. Nothing is printed unless every line can be read.
    """
    from streams.replay.files import WrongLine, positions_of, read_fills  # noqa: PLC0415 - help must be quick

    del as_json
    try:
        result = positions_of(read_fills(_lines(file)))
    except WrongLine as error:
        raise _wrong(file, error) from error
    show_json(result)
    if result["differences"]:
        raise Stop(f"{len(result['differences'])} fills say otherwise than the ledger")


def _lines(file: Path) -> Iterator[tuple[int, bytes]]:
    """Number and bytes of every line that is not empty. Raises Stop where there is no such file."""
    try:
        text = file.read_bytes()
    except OSError as error:
        code = Exit.NOT_FOUND if isinstance(error, FileNotFoundError) else Exit.FAILURE
        raise Stop(f"{file} cannot be read", why=str(error), next_step="name a file of NDJSON", code=code) from error
    return ((number, line) for number, line in enumerate(text.split(b"\n"), 1) if line.strip())


def _wrong(file: Path, error: Exception) -> Stop:
    return Stop(f"{file} cannot be folded", why=str(error), next_step="mend the line; nothing was folded")
