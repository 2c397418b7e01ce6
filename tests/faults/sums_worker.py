"""A worker with the worked room, as its own process: `python -m tests.faults.sums_worker`, settings in the environment.

SUMS_ENVIRONMENT, SUMS_BOOTSTRAP, SUMS_SLOT, SUMS_FOLDER are needed. SUMS_FIXED (1): fixed membership. SUMS_PROTOCOL:
classic or consumer. SUMS_SESSION_MS (6000): after so much silence its partitions are another's. SUMS_HOLE: a file;
when it names a stage of the transaction, the process stops itself there; when it says `deaf`, it fetches no more.
"""

import os
import signal
from pathlib import Path

from streams.runtime.app import RoomApp
from streams.runtime.carrier import Carrier
from streams.runtime.clients import Cluster, GroupProtocol
from tests.streams.runtime.sums import SUMS_MAP, SumsRoom, sums_codec


def stop_at(stage: str) -> None:
    """Stop this very process where the harness asked for it; the harness continues it."""
    hole = Path(os.environ["SUMS_HOLE"])
    if hole.exists() and hole.read_text() == stage:
        hole.unlink()
        os.kill(os.getpid(), signal.SIGSTOP)


def go_deaf(carrier: Carrier) -> None:
    """Let the client fetch nothing any more where the harness asked for it, as one does that forgot a partition."""
    hole = Path(os.environ["SUMS_HOLE"])
    if hole.exists() and hole.read_text() == "deaf":
        hole.unlink()
        carrier.order(lambda consumer: consumer.pause(consumer.assignment()))


def build() -> RoomApp:
    """The app, as a composition root would build it."""
    environ = os.environ
    cluster = Cluster(
        environ["SUMS_BOOTSTRAP"],
        protocol=GroupProtocol(environ.get("SUMS_PROTOCOL", GroupProtocol.CLASSIC)),
        session_ms=int(environ.get("SUMS_SESSION_MS", "6000")),
    )
    app = RoomApp(
        environ["SUMS_ENVIRONMENT"],
        cluster,
        sums_codec(),
        Path(environ["SUMS_FOLDER"]),
        topic_map=SUMS_MAP,
        replication=int(environ.get("SUMS_REPLICATION", "1")),
    )

    def stage(name: str) -> None:
        if "SUMS_HOLE" in environ:
            stop_at(name)
            go_deaf(room.carrier)

    room = app.room(
        SumsRoom(),
        slot=environ["SUMS_SLOT"],
        fixed_membership=environ.get("SUMS_FIXED", "1") == "1",
        stage=stage,
    )

    @app.agent(room.inbox)
    async def sums(stream: object) -> None:
        async for batch in stream:  # type: ignore[attr-defined]  # Faust passes its stream
            await room.apply(batch)

    return app


if __name__ == "__main__":
    app = build()
    app.Worker(loglevel="WARN", redirect_stdouts=False).execute_from_commandline()
