"""`report`: one account's figures as one HTML file that opens anywhere, or as JSON."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from streams.commands.files import write_whole
from streams.commands.outcome import AsJson, Exit, Stop, say, show_json

if TYPE_CHECKING:
    from streams.commands.report_figures import Figures
    from streams.replay.order import Order

DEFAULT = Path("report.html")


def add_to(app: typer.Typer) -> None:
    """Add the commands of this module."""
    app.command()(report)


def report(
    out: Annotated[Path | None, typer.Option(help="The file to write.  [default: report.html]")] = None,
    account: Annotated[str | None, typer.Option(help="Whose.  [default: the only one]")] = None,
    benchmark: Annotated[
        Path | None, typer.Option(help="CSV with the columns time and return, or time and equity, to compare with.")
    ] = None,
    benchmark_sectors: Annotated[
        Path | None, typer.Option(help="CSV with the columns sector, weight and return, of the days of the report.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Write what an account did as one HTML file: it opens offline, and its figures are those of ClickHouse."""
    from streams.commands.settings_of import settings  # noqa: PLC0415 - help must be quick

    chosen = settings()
    found = _figures(chosen, account, benchmark, benchmark_sectors)
    path = out or (None if as_json else DEFAULT)
    if path is not None:
        write_whole(path, _document(chosen, found), Exit.USAGE)
        say(f"✓ report      {path} shows account {found.account_id}; it opens in any browser, also offline")
    if as_json:
        show_json({"command": "report", **found.to_json(), "file": path})


def _figures(chosen: Any, account: str | None, benchmark: Path | None, sectors: Path | None) -> "Figures":
    from connectors.clickhouse.client import ClickHouse, database_of  # noqa: PLC0415 - help must be quick
    from streams.commands.data import clickhouse_url  # noqa: PLC0415
    from streams.commands.report_benchmark import read_against  # noqa: PLC0415
    from streams.commands.report_figures import AccountUnclear, NothingRecorded, figures_of  # noqa: PLC0415

    against = read_against(benchmark, sectors)
    server = ClickHouse(
        clickhouse_url(chosen),
        database_of(chosen.environment),
        user=chosen.clickhouse_user,
        password=chosen.clickhouse_password.get_secret_value(),
    )
    try:
        return figures_of(server, account, against)
    except NothingRecorded as error:
        raise Stop(
            "there is nothing to report", why=str(error), next_step="begin with `quantumleap run`", code=Exit.NOT_FOUND
        ) from error
    except AccountUnclear as error:
        raise Stop(str(error), next_step="name one with --account", code=Exit.USAGE) from error
    finally:
        server.close()


def _document(chosen: Any, found: "Figures") -> str:
    from datetime import UTC, datetime  # noqa: PLC0415 - help must be quick

    from dashboards.report.html import document  # noqa: PLC0415
    from streams.commands.report_page import page_of  # noqa: PLC0415

    order = _order(chosen)
    environment = (("Environment", str(chosen.environment)),)
    asked, acknowledgement = (environment, "") if order is None else _told(order, environment)
    return document(page_of(found, asked, acknowledgement, datetime.now(UTC).strftime("%Y-%m-%d %H:%M")))


def _order(chosen: Any) -> "Order | None":
    """What `run` was told in this folder, if it was and for this environment."""
    import msgspec  # noqa: PLC0415 - help must be quick

    from streams.commands.run import REPLAY  # noqa: PLC0415
    from streams.replay.order import Order  # noqa: PLC0415

    path = chosen.folder / REPLAY / "order.json"
    if not path.exists():
        return None
    order = msgspec.json.decode(path.read_bytes(), type=Order)
    return order if order.environment == chosen.environment else None


def _told(order: "Order", environment: tuple[tuple[str, str], ...]) -> tuple[tuple[tuple[str, str], ...], str]:
    """What the run was told, in words, and whom its data is owed to."""
    from connectors.feeds.data_sets import data_set  # noqa: PLC0415 - help must be quick
    from connectors.feeds.errors import FeedError  # noqa: PLC0415
    from schemas.scalars import iso_of  # noqa: PLC0415

    asked = (
        *environment,
        ("Data set", order.data),
        ("From (UTC)", iso_of(order.from_us)),
        ("Before (UTC)", iso_of(order.until_us)),
        ("Opening deposit", order.cash),
    )
    try:
        described = data_set(order.data, Path(order.imported)).description
    except FeedError:
        return asked, ""
    return asked, f"{described.title}. {described.source}"
