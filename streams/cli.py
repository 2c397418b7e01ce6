"""The `quantumleap` command."""

import sys

from streams.commands import (
    boards,
    data,
    discrepancies,
    documents,
    markets,
    operate,
    orders,
    providers,
    replays,
    report,
    risk_tools,
    roles,
    servers,
    settings_of,
    strategies,
    topic_tools,
    workers,
)
from streams.commands import replay as replay_commands
from streams.commands import run as run_commands
from streams.commands.groups import group
from streams.commands.outcome import Exit, Stop, say

app = group(
    "An automated trading engine on Kafka. Begin with `quantumleap run`.",
    name="quantumleap",
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)
for commands in (
    run_commands,
    replay_commands,
    servers,
    workers,
    roles,
    operate,
    markets,
    orders,
    strategies,
    providers,
    discrepancies,
    risk_tools,
    replays,
    data,
    report,
    boards,
    topic_tools,
    settings_of,
    documents,
):
    commands.add_to(app)


def main() -> None:
    """Run the command; an error is told, never thrown at the reader, unless `--debug` asks for it."""
    debug = "--debug" in sys.argv
    sys.argv = [word for word in sys.argv if word != "--debug"]
    try:
        app(standalone_mode=True)
    except Stop as stop:
        for line in stop.lines():
            say(line)
        sys.exit(stop.code)
    except KeyboardInterrupt:
        say("interrupted")
        sys.exit(Exit.INTERRUPTED)
    except BrokenPipeError:
        sys.exit(Exit.FAILURE)
    except Exception as error:
        if debug:
            raise
        said = _known(error)
        for line in said.lines():
            say(line)
        sys.exit(said.code)


def _known(error: Exception) -> Stop:
    from streams.commands.errors import explained  # noqa: PLC0415 - help must be quick

    return explained(error)


if __name__ == "__main__":
    main()
