"""What each known error means to the person at the command line: one row each, the first that fits decides."""

from collections.abc import Callable
from typing import Any

from streams.commands.files import refusal
from streams.commands.outcome import Exit, Stop

REPEAT = "the same command may be repeated; `quantumleap doctor` looks at the servers"
Row = tuple[type[Exception] | tuple[type[Exception], ...], Callable[[Any], Stop]]


def explained(error: Exception) -> Stop:
    """The error as a Stop: what, why, the next step and the exit code. Unknown errors say their class."""
    for known, explain in _rows():
        if isinstance(error, known):
            return explain(error)
    return Stop(
        f"{type(error).__name__}: {error}",
        why="this error has no explanation of its own yet",
        next_step="run the same command with --debug to see where it comes from",
    )


def _rows() -> tuple[Row, ...]:
    from confluent_kafka import KafkaException  # noqa: PLC0415 - only where something is wrong

    from connectors.embedded.errors import (  # noqa: PLC0415
        DiskFull,
        EmbeddedError,
        FolderCorrupt,
        FolderUnwritable,
        JarsAltered,
        JavaMissing,
        PackageMissing,
        PortTaken,
    )
    from connectors.errors import Refused, Unavailable  # noqa: PLC0415
    from connectors.feeds.errors import FeedError, UnknownDataSet  # noqa: PLC0415
    from connectors.kafka.errors import ModeDiffers, NoEnvironment  # noqa: PLC0415
    from connectors.reference.sessions import UnknownCalendar  # noqa: PLC0415
    from connectors.registry.errors import RegistryError, Unreachable  # noqa: PLC0415
    from schemas.versions import PublishedVersionEdited  # noqa: PLC0415
    from streams.pnl.performance.returns import SeriesError  # noqa: PLC0415
    from streams.replay.conductor import EngineFailed  # noqa: PLC0415
    from streams.runtime.offsets import TopicGone  # noqa: PLC0415
    from streams.runtime.reader import ReadStandsStill  # noqa: PLC0415
    from streams.runtime.source import DeliveryFailed  # noqa: PLC0415
    from streams.worker import UnknownRoom  # noqa: PLC0415

    return (
        ((PortTaken, FolderUnwritable, JavaMissing, PackageMissing, JarsAltered), lambda e: _told(e, Exit.CONFIG)),
        ((DiskFull, FolderCorrupt), lambda e: _told(e, Exit.FAILURE)),
        (EmbeddedError, lambda e: _told(e, Exit.UNREACHABLE)),
        (Unreachable, lambda e: _told(e, Exit.UNREACHABLE)),
        (RegistryError, lambda e: _told(e, Exit.FAILURE)),
        (ModeDiffers, lambda e: Stop(str(e), code=Exit.CONFIG)),
        (NoEnvironment, lambda e: Stop(str(e), code=Exit.CONFIG)),
        (Unavailable, lambda e: Stop(str(e), next_step="the same command may be repeated", code=Exit.UNREACHABLE)),
        (Refused, lambda e: Stop(str(e), code=Exit.FAILURE)),
        (UnknownDataSet, lambda e: Stop(str(e), next_step="see `quantumleap data list`", code=Exit.NOT_FOUND)),
        (FeedError, lambda e: Stop(str(e), next_step="mend the file; nothing was imported")),
        (
            PublishedVersionEdited,
            lambda e: Stop(str(e), next_step="restore the file as it was published; a change is a new version"),
        ),
        (SeriesError, lambda e: Stop(str(e), next_step="mend the file; nothing was computed of a part of it")),
        (UnknownCalendar, lambda e: Stop(str(e), next_step="correct the instrument's calendar", code=Exit.CONFIG)),
        (EngineFailed, lambda e: Stop(str(e), next_step=f"read {e.log}; the same command goes on where it was")),
        (TopicGone, lambda e: Stop(str(e), next_step="run `quantumleap setup`", code=Exit.CONFIG)),
        (ReadStandsStill, lambda e: Stop(str(e), next_step=REPEAT, code=Exit.UNREACHABLE)),
        (DeliveryFailed, lambda e: Stop(str(e), next_step=REPEAT, code=Exit.UNREACHABLE)),
        (KafkaException, _kafka),
        (UnknownRoom, lambda e: Stop(str(e), next_step="name one of them", code=Exit.NOT_FOUND)),
        (ModuleNotFoundError, _missing),
        (OSError, refusal),
    )


def _told(error: Any, code: Exit) -> Stop:
    return Stop(error.what, why=error.why, next_step=error.next_step, code=code)


def _kafka(error: Any) -> Stop:
    return Stop("Kafka did not do what was asked", why=error.args[0].str(), next_step=REPEAT, code=Exit.UNREACHABLE)


def _missing(error: ModuleNotFoundError) -> Stop:
    return Stop(
        f"the package {error.name} is not installed",
        next_step="pip install 'quantumleap[embedded]'",
        code=Exit.CONFIG,
    )
