"""`config`: the settings in force; and how the other commands get theirs."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from streams.commands.groups import group
from streams.commands.outcome import AsJson, Exit, Stop, show_json, show_table

if TYPE_CHECKING:
    from streams.settings import Loaded, Settings

config = group("Settings and where each value comes from.")


def add_to(app: typer.Typer) -> None:
    """Add the commands of this module."""
    app.add_typer(config, name="config")


def loaded(file: Path | None = None, **flags: Any) -> "Loaded":
    """Settings from all sources; a problem ends the command with exit code 3."""
    from streams.settings import WrongSettings, load  # noqa: PLC0415 - help must be quick

    try:
        return load(flags, file=file)
    except WrongSettings as error:
        raise Stop(
            "the settings cannot be used",
            why="; ".join(error.problems),
            next_step="correct them, then look at them with `quantumleap config show`",
            code=Exit.CONFIG,
        ) from error


def settings(**flags: Any) -> "Settings":
    """As `loaded`, the settings alone."""
    return loaded(**flags).settings


@config.command()
def show(
    file: Annotated[Path | None, typer.Option(help="Settings file.  [default: quantumleap.toml]")] = None,
    as_json: AsJson = False,
) -> None:
    """Each setting with its value, its origin and its meaning; secrets are masked."""
    found = loaded(file)
    fields = type(found.settings).model_fields
    rows = [
        (name, _shown(getattr(found.settings, name)), found.origins[name], field.description or "")
        for name, field in fields.items()
    ]
    if as_json:
        show_json({name: {"value": value, "origin": origin} for name, value, origin, _ in rows})
    else:
        show_table("", ("setting", "value", "origin", "meaning"), rows)


def _shown(value: Any) -> str:
    return "" if value is None else str(value)
