"""`schemas`: the Avro files of the records, and the registry that serves them."""

from typing import Annotated, Any

import typer

from streams.commands.outcome import Exit, Stop, say

schemas = typer.Typer(help="Avro schemas of the records: write, compare, register.", no_args_is_help=True)


def add_to(app: typer.Typer) -> None:
    """Add the commands of this module."""
    app.add_typer(schemas, name="schemas")


@schemas.command()
def generate() -> None:
    """Write the Avro files that the records ask for; a published version is never edited."""
    from schemas.versions import generate as write  # noqa: PLC0415 - help must be quick

    for difference in write():
        print(f"{difference.change.lower()}  {difference.path.parent.name}/{difference.path.name}")


@schemas.command()
def check() -> None:
    """Compare the Avro files with the records; exit code 1 where they differ."""
    from schemas.versions import differences  # noqa: PLC0415 - help must be quick

    found = differences()
    for difference in found:
        print(f"{difference.change.lower()}  {difference.path.parent.name}/{difference.path.name}")
    if found:
        raise Stop(f"{len(found)} Avro files are not what the records say", next_step="run `quantumleap schemas generate`")
    say("all Avro files are what the records say")


@schemas.command()
def register(
    registry_url: Annotated[str | None, typer.Option(help="Registry.  [default: the embedded one]")] = None,
) -> None:
    """Register every schema, FULL_TRANSITIVE, and print the ids."""
    from connectors.registry.client import ConfluentRegistry  # noqa: PLC0415 - help must be quick
    from connectors.registry.publish import register as send  # noqa: PLC0415
    from streams.commands.settings_of import settings  # noqa: PLC0415

    registry = ConfluentRegistry(registry_address(settings(registry_url=registry_url)))
    for record, number in send(registry).items():
        print(f"{number:>5}  {record.__name__}")


def registry_address(settings: Any) -> str:
    """The address given, or that of the embedded registry. Raises Stop where none runs."""
    if settings.registry_url:
        return str(settings.registry_url)
    from connectors.embedded.errors import NotRunning  # noqa: PLC0415 - not installed everywhere
    from connectors.embedded.registry import RegistryServer  # noqa: PLC0415

    try:
        return RegistryServer.attach(settings.folder / "registry").url
    except NotRunning as error:
        raise Stop(
            f"no schema registry runs on {settings.folder}",
            why="neither QL_REGISTRY_URL nor an embedded registry is there",
            next_step="start the servers with `quantumleap up`",
            code=Exit.UNREACHABLE,
        ) from error
