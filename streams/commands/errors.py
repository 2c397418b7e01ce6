"""What each known error means to the person at the command line."""

from streams.commands.outcome import Exit, Stop


def explained(error: Exception) -> Stop:
    """The error as a Stop: what, why, the next step and the exit code. Unknown errors say their class."""
    from connectors.embedded.errors import EmbeddedError  # noqa: PLC0415 - only where something is wrong

    if isinstance(error, EmbeddedError):
        return Stop(error.what, why=error.why, next_step=error.next_step, code=Exit.UNREACHABLE)
    if isinstance(error, ModuleNotFoundError):
        return Stop(
            f"the package {error.name} is not installed",
            next_step="pip install 'quantumleap[embedded]'",
            code=Exit.CONFIG,
        )
    return Stop(
        f"{type(error).__name__}: {error}",
        why="this error has no explanation of its own yet",
        next_step="run the same command with --debug to see where it comes from",
    )
