"""`worker`, `status`, `deadletters` and `verify`: running rooms, and looking after them."""

from typing import TYPE_CHECKING, Annotated

import typer

from streams.commands.connections import AuthorOption, author_of, connect
from streams.commands.groups import group
from streams.commands.outcome import AsJson, Exit, Stop, say, show_json, show_table

if TYPE_CHECKING:
    from streams.commands.connections import Connection
    from streams.runtime.dead_letters import Letter
    from streams.settings import Settings

deadletters = group("Records that a door could not let through.")
RolesArgument = Annotated[list[str] | None, typer.Argument(help="Rooms by name, and `execution`.  [default: all]")]
RoomsArgument = Annotated[list[str] | None, typer.Argument(help="Rooms by name.  [default: all]")]


def add_to(app: typer.Typer) -> None:
    """Add the commands of this module."""
    app.command()(worker)
    app.command()(status)
    app.command()(verify)
    app.add_typer(deadletters, name="deadletters")


def worker(
    roles: RolesArgument = None,
    slot: Annotated[str | None, typer.Option(help="Stable name of this worker.  [default: w0]")] = None,
    health_port: Annotated[int | None, typer.Option(help="Where it answers /live, /ready and /metrics.")] = None,
    mode: Annotated[str | None, typer.Option(help="The environment's; type `live` to trade for real.")] = None,
    live_venue: Annotated[str | None, typer.Option(help="The venue's name, typed out, to trade for real.")] = None,
) -> None:
    """Run roles until stopped, started again whenever they end themselves. SIGTERM drains."""
    from streams.commands.settings_of import settings  # noqa: PLC0415 - help must be quick
    from streams.worker import NotMeant, roles_named, supervise  # noqa: PLC0415

    chosen = settings(slot=slot, health_port=health_port, mode=mode, live_venue=live_venue)
    try:
        roles_named(roles or (), chosen.mode)
    except NotMeant as error:
        raise Stop("the worker does not start", why=str(error), code=Exit.CONFIG) from error
    chosen = _reachable(chosen)
    connect(chosen)
    code = supervise(chosen, roles or (), say, live_typed=(mode or "").lower() == "live")
    if code > 0:
        raise Stop(f"the worker ended with {code}", next_step="its last lines say what to mend")


def _reachable(chosen: "Settings") -> "Settings":
    """Settings with the addresses of the embedded servers where none were given."""
    from streams.commands.topic_tools import kafka_address, registry_address  # noqa: PLC0415 - help must be quick

    return chosen.model_copy(
        update={"bootstrap_servers": kafka_address(chosen), "registry_url": registry_address(chosen)}
    )


def _connection() -> "Connection":
    from streams.commands.settings_of import settings  # noqa: PLC0415 - help must be quick

    return connect(settings())


def status(as_json: AsJson = False) -> None:
    """How far every room and execution are behind; exit code 7 where one has records to fold and nobody to do it."""
    from schemas.topics import ORDERS_COMMANDS  # noqa: PLC0415 - help must be quick
    from streams.rooms import all_rooms  # noqa: PLC0415
    from streams.runtime.status import status as asked  # noqa: PLC0415

    there = _connection()
    readers = [(room.name, room.reads) for room in all_rooms()]
    found = asked(there.cluster, there.environment, [*readers, ("execution", ORDERS_COMMANDS)])
    rows = [(one.name, one.state, " ".join(one.members), one.lag_records, round(one.lag_s, 1)) for one in found]
    columns = ("room", "group", "members", "lag", "lag_seconds")
    if as_json:
        show_json([dict(zip(columns, row, strict=True)) for row in rows])
    else:
        show_table("", columns, rows)
    left = [one.name for one in found if one.lag_records and not one.members]
    if left:
        raise Stop(
            f"nobody folds {', '.join(left)}",
            next_step=f"run `quantumleap worker {' '.join(left)}`",
            code=Exit.DEGRADED,
        )


def verify(rooms: RoomsArgument = None, as_json: AsJson = False) -> None:
    """Fold every inbox again and compare with what the rooms said and keep; exit code 1 where anything differs."""
    from dataclasses import asdict  # noqa: PLC0415 - help must be quick

    from streams.runtime.verify import verify as judged  # noqa: PLC0415
    from streams.worker import rooms_named  # noqa: PLC0415

    chosen = rooms_named(rooms or ())
    there = _connection()
    verdicts = [judged(room, there.codec, there.cluster, there.environment) for room in chosen]
    if as_json:
        show_json([asdict(one) | {"ok": one.ok} for one in verdicts])
    else:
        for one in verdicts:
            print("\n".join(one.lines()))
    if not all(one.right for one in verdicts):
        raise Stop("what is recorded is not what the rules say", next_step="keep the topics and look at the ids above")


@deadletters.command("list")
def list_letters(as_json: AsJson = False) -> None:
    """Every dead letter, with its reason."""
    from schemas.scalars import iso_of  # noqa: PLC0415 - help must be quick

    rows = [
        (
            one.letter_id,
            iso_of(one.record.event_time_us),
            one.record.room,
            f"{one.record.source_topic}/{one.record.source_partition}/{one.record.source_offset}",
            one.record.reason,
            one.record.detail,
        )
        for one in _letters()
    ]
    columns = ("id", "time", "room", "where", "reason", "detail")
    if as_json:
        show_json([dict(zip(columns, row, strict=True)) for row in rows])
    else:
        show_table("", columns, rows)


@deadletters.command("show")
def show_letter(letter: Annotated[str, typer.Argument(help="Its id, as listed.")]) -> None:
    """One dead letter, whole; bytes are shown as hexadecimal."""
    from schemas.edge import to_jsonable  # noqa: PLC0415 - help must be quick

    record = _letter(letter).record
    bodies = {"key": record.key, "value": record.value}
    shown = {name: None if body is None else body.hex() for name, body in bodies.items()}
    show_json(to_jsonable(record) | shown)


@deadletters.command("replay")
def replay_letter(letter: Annotated[str, typer.Argument(help="Its id, as listed.")]) -> None:
    """Put the record back where it came from, byte for byte; its door judges it again."""
    from streams.runtime.dead_letters import CannotReplay, replay  # noqa: PLC0415 - help must be quick

    try:
        replay(_connection().cluster, _letter(letter))
    except CannotReplay as refused:
        raise Stop(f"{letter} cannot be put back", why=str(refused)) from refused
    say(f"{letter} lies in its topic again, behind what was written since")


@deadletters.command("skip")
def skip_record(
    room: Annotated[str, typer.Argument(help="Whose partition is parked.")],
    partition: Annotated[int, typer.Argument(help="Of its inbox.")],
    offset: Annotated[int, typer.Argument(help="Of the record over which it is parked.")],
    reason: Annotated[str, typer.Option(help="Why it may be left out.")],
    author: AuthorOption = None,
) -> None:
    """Let a parked partition go on behind one record; who and why is recorded."""
    from streams.runtime.dead_letters import CannotSkip, skip  # noqa: PLC0415 - help must be quick
    from streams.worker import rooms_named  # noqa: PLC0415

    (chosen,) = rooms_named([room])
    there = _connection()
    try:
        skip(
            there.cluster, there.codec, there.environment, room, chosen.reads, (partition, offset), author_of(author),
            reason,
        )  # fmt: skip
    except CannotSkip as refused:
        raise Stop(f"{room}/{partition}/{offset} cannot be skipped", why=str(refused)) from refused
    say(f"{room} goes on behind {partition}/{offset}")


def _letters() -> "list[Letter]":
    from streams.runtime.dead_letters import letters  # noqa: PLC0415 - help must be quick

    there = _connection()
    return list(letters(there.cluster, there.codec, there.environment))


def _letter(letter_id: str) -> "Letter":
    for one in _letters():
        if one.letter_id == letter_id:
            return one
    raise Stop(
        f"there is no dead letter {letter_id}", next_step="see `quantumleap deadletters list`", code=Exit.NOT_FOUND
    )
