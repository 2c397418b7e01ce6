"""`data`, `sql` and `stats`: recorded markets, ClickHouse, and statistics of anyone's series."""

from pathlib import Path
from typing import Annotated, Any

import typer

from streams.commands.groups import group
from streams.commands.outcome import AsJson, Exit, Stop, say, show_json, show_table

data = group("Recorded markets: what is here, is it unaltered, bring in more.")
IMPORTED = "data"


def add_to(app: typer.Typer) -> None:
    """Add the commands of this module."""
    app.add_typer(data, name="data")
    app.command()(sql)
    app.command()(stats)


def imported_folder() -> Path:
    """Where imported sets are kept."""
    from streams.commands.settings_of import settings  # noqa: PLC0415 - help must be quick

    return settings().folder / IMPORTED


@data.command("list")
def list_sets(as_json: AsJson = False) -> None:
    """Every data set that can be replayed."""
    from connectors.feeds.data_sets import data_sets  # noqa: PLC0415 - help must be quick
    from schemas.scalars import iso_of  # noqa: PLC0415

    rows = []
    for found in data_sets(imported_folder()):
        first, last = found.span()
        instruments = " ".join(instrument.instrument_id for instrument in found.instruments)
        rows.append((found.name, instruments, iso_of(first), iso_of(last), found.description.title))
    columns = ("name", "instruments", "first", "last", "title")
    if as_json:
        show_json([dict(zip(columns, row, strict=True)) for row in rows])
    else:
        show_table("", columns, rows)


@data.command()
def verify(
    name: Annotated[str, typer.Argument(help="A data set's name or folder.")] = "oil",
    as_json: AsJson = False,
) -> None:
    """Compare every file of a data set with its checksum."""
    from connectors.feeds.data_sets import data_set  # noqa: PLC0415 - help must be quick

    checks = data_set(name, imported_folder()).verify()
    if as_json:
        show_json([check._asdict() for check in checks])
    else:
        show_table("", ("", "file", "SHA-256"), [("✓" if c.right else "✗", c.path, c.detail) for c in checks])
    if not all(check.right for check in checks):
        raise Stop(f"data set {name} was altered", next_step="restore the files from their source, or import them anew")


@data.command("import")
def import_file(
    files: Annotated[list[Path], typer.Argument(help="CSV, zipped CSV or Parquet; one instrument a file.")],
    name: Annotated[str, typer.Option(help="Name of the new data set.")],
    instrument: Annotated[
        list[str] | None, typer.Option(help="Instrument id of each file, in order.  [default: the file's name]")
    ] = None,
    mapping: Annotated[
        Path | None, typer.Option(help="JSON: how columns become fields.  [default: told from the header]")
    ] = None,
    acknowledge: Annotated[str, typer.Option(help="Whom to acknowledge for the data.")] = "",
    negative_prices: Annotated[
        bool, typer.Option("--negative-prices", help="Prices of zero or less are legal.")
    ] = False,
    skip_bad_rows: Annotated[bool, typer.Option("--skip-bad-rows", help="Leave bad rows out, and say so.")] = False,
    as_json: AsJson = False,
) -> None:
    """Make a data set of files, all or nothing; every row that cannot be used is named."""
    from connectors.feeds.errors import ImportRefused  # noqa: PLC0415 - help must be quick
    from connectors.feeds.importer import Source, guessed_mapping, import_set, plain_instrument  # noqa: PLC0415

    missing = [str(file) for file in files if not file.is_file()]
    if missing:
        raise Stop(f"{', '.join(missing)}: no such file", next_step="name files that exist", code=Exit.NOT_FOUND)
    names = instrument or [file.stem.upper() for file in files]
    if len(names) != len(files):
        raise Stop(f"{len(names)} instruments for {len(files)} files", next_step="name one for each", code=Exit.USAGE)
    given = _mapping(mapping) if mapping is not None else None
    sources = []
    for file, instrument_id in zip(files, names, strict=True):
        found = given or guessed_mapping(file)
        about = plain_instrument(instrument_id, found, price_may_be_negative=negative_prices)
        sources.append(Source(path=str(file), instrument=about, mapping=found))
    try:
        report = import_set(name, sources, imported_folder(), acknowledge=acknowledge, skip_bad_rows=skip_bad_rows)
    except ImportRefused as refused:
        raise Stop(
            f"nothing was imported as {name}",
            why=str(refused),
            next_step="mend the rows, or leave them out with --skip-bad-rows",
        ) from refused
    rows = [(one.path, one.usable, len(one.problems)) for one in report.files]
    if as_json:
        show_json({"folder": report.folder, "files": [{"path": p, "rows": u, "left_out": b} for p, u, b in rows]})
    else:
        show_table("", ("file", "rows", "left out"), rows)
        say(f"next: quantumleap backtest --data {name}")


def _mapping(path: Path) -> Any:
    import msgspec  # noqa: PLC0415 - help must be quick

    from connectors.feeds.tables import ColumnMapping  # noqa: PLC0415

    try:
        return msgspec.json.decode(path.read_bytes(), type=ColumnMapping)
    except (OSError, msgspec.MsgspecError) as error:
        raise Stop(f"{path} is no mapping", why=str(error), next_step="see docs/data.md", code=Exit.USAGE) from error


def sql(
    query: Annotated[str, typer.Argument(help="ClickHouse SQL; `-` reads it from stdin.")],
    as_json: AsJson = False,
) -> None:
    """Ask ClickHouse. The database is the environment's."""
    import sys  # noqa: PLC0415 - help must be quick

    from streams.commands.settings_of import settings  # noqa: PLC0415

    text = sys.stdin.read() if query == "-" else query
    chosen = settings()
    names, rows = ask(chosen, text)
    if as_json:
        show_json([dict(zip(names, row, strict=True)) for row in rows])
    else:
        show_table("", names, rows)


def ask(settings: Any, text: str) -> tuple[list[str], list[Any]]:
    """Column names and rows of one query. Raises Stop where ClickHouse does not answer or refuses the query."""
    import clickhouse_connect  # noqa: PLC0415 - help must be quick
    from clickhouse_connect.driver.exceptions import ClickHouseError  # noqa: PLC0415

    from connectors.clickhouse.client import database_of, reason_of  # noqa: PLC0415

    url = clickhouse_url(settings)
    try:
        client = clickhouse_connect.get_client(
            dsn=url,
            username=settings.clickhouse_user,
            password=settings.clickhouse_password.get_secret_value(),
            database=database_of(settings.environment),
        )
        found = client.query(text)
    except ClickHouseError as error:
        unreachable = "Code:" not in str(error)
        raise Stop(
            f"ClickHouse at {url} {'does not answer' if unreachable else 'refuses the query'}",
            why=reason_of(error),
            next_step="start the servers with `quantumleap up`" if unreachable else "correct the query",
            code=Exit.UNREACHABLE if unreachable else Exit.FAILURE,
        ) from error
    return list(found.column_names), list(found.result_rows)


def clickhouse_url(settings: Any) -> str:
    """The address given, or that of the embedded server. Raises Stop where none runs."""
    if settings.clickhouse_url:
        return str(settings.clickhouse_url)
    from connectors.embedded.clickhouse import ClickHouseServer  # noqa: PLC0415 - not installed everywhere
    from connectors.embedded.errors import NotRunning  # noqa: PLC0415

    try:
        return ClickHouseServer.attach(settings.folder / "clickhouse").url
    except NotRunning as error:
        raise Stop(
            f"no ClickHouse runs on {settings.folder}",
            why="neither --clickhouse-url nor an embedded server is there",
            next_step="start the servers with `quantumleap up`, or name one in QL_CLICKHOUSE_URL",
            code=Exit.UNREACHABLE,
        ) from error


def stats(
    file: Annotated[Path, typer.Argument(help="CSV with the columns time and return, or time and equity.")],
    period: Annotated[str | None, typer.Option(help="daily, weekly, monthly, quarterly or yearly.")] = None,
    benchmark: Annotated[Path | None, typer.Option(help="CSV of the same shape to compare with.")] = None,
    as_json: AsJson = False,
) -> None:
    """Performance statistics of any series, each by one named convention."""
    from streams.commands.stats_of_file import stats_of_file  # noqa: PLC0415 - help must be quick

    if not file.exists():
        raise Stop(f"{file} does not exist", next_step="name a CSV file", code=Exit.NOT_FOUND)
    found = stats_of_file(file, period, benchmark)
    if as_json:
        show_json(found)
        return
    say(f"{file}: {found['n']} {found['period']} returns, {found['from']} to {found['to']}")
    rows = [
        (name, one["shown"], _interval(one["low"], one["high"]), one["n"], one["why"])
        for name, one in found["statistics"].items()
    ]
    show_table("", ("metric", "value", "95 % interval", "n", "why"), rows)


def _interval(low: float | None, high: float | None) -> str:
    return "" if low is None or high is None else f"{low:.3g} to {high:.3g}"
