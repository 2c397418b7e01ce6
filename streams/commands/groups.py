"""How commands are grouped, so that help is quick."""

from typing import Any

import typer
from typer.core import TyperGroup


class Group(TyperGroup):
    """Commands under one word. Asks for the options of the group only where some were given.

    Else Typer would load pydantic to learn that nobody asked for help here: half the time of `--help`.
    """

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """What is left for the command; as Typer, which leaves its name in front of it."""
        if not args or args[0].startswith("-"):
            return super().parse_args(ctx, args)
        left = args[1:]
        ctx._protected_args, ctx.args = args[:1], left
        return left


def group(summary: str, **options: Any) -> typer.Typer:
    """Commands under one word, which alone prints their help."""
    return typer.Typer(help=summary, no_args_is_help=True, cls=Group, **options)
