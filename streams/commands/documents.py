"""`docs`: everything in the repository that is generated from the code."""

import typer

from streams.commands.outcome import say


def add_to(app: typer.Typer) -> None:
    """Add the commands of this module."""
    app.command()(docs)


def docs() -> None:
    """Write all generated files anew: Avro schemas and documents. Nothing changes where all was in sync."""
    from schemas.versions import generate  # noqa: PLC0415 - help must be quick
    from streams.commands.generated import ROOT, generated  # noqa: PLC0415

    for difference in generate():
        say(f"{difference.change.lower()} {difference.path.name}")
    for path, text in generated():
        if not path.exists() or path.read_text() != text:
            path.write_text(text)
            say(f"rewrite {path.relative_to(ROOT)}")
