"""`dashboards`: Grafana's boards and alerts as code."""

from typing import Annotated

import typer

from streams.commands.groups import group
from streams.commands.outcome import AsJson, Exit, Stop, say, show_json, show_table

dashboards = group("Grafana's boards and alerts, as code.")


def add_to(app: typer.Typer) -> None:
    """Add the commands of this module."""
    app.add_typer(dashboards, name="dashboards")


@dashboards.callback()
def about() -> None:
    """Grafana's boards and alerts, as code."""


@dashboards.command()
def push(
    url: Annotated[str, typer.Option(help="Grafana's address.")] = "http://127.0.0.1:3000",
    user: Annotated[str, typer.Option(help="Who pushes; without it a token is used.")] = "",
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would be done, and do nothing.")] = False,
    as_json: AsJson = False,
) -> None:
    """Bring Grafana to the boards and alerts of this version; a second time changes nothing.

    The token or password is read from GRAFANA_TOKEN or GRAFANA_PASSWORD.
    """
    import os  # noqa: PLC0415 - help must be quick

    from dashboards.push import CannotPush, GrafanaAway, connected  # noqa: PLC0415
    from dashboards.push import push as bring  # noqa: PLC0415

    token, password = os.environ.get("GRAFANA_TOKEN", ""), os.environ.get("GRAFANA_PASSWORD", "")
    try:
        changes = bring(connected(url, token=token, user=user, password=password), dry_run=dry_run)
    except CannotPush as refused:
        away = isinstance(refused, GrafanaAway)
        raise Stop(
            f"nothing more was pushed to {url}", why=str(refused), code=Exit.UNREACHABLE if away else Exit.FAILURE
        ) from refused
    rows = [(one.verdict, one.kind, one.uid, one.title) for one in changes]
    if as_json:
        show_json([dict(zip(("verdict", "kind", "uid", "title"), row, strict=True)) for row in rows])
    else:
        show_table("", ("", "kind", "uid", "title"), rows)
    if dry_run:
        say("this was a dry run: nothing was changed")
