"""Host: the process in which rooms and effects live, as they see it.

A Faust app that knows its environment, its cluster and what all its doors share, but none of the doors: `RoomApp`
declares those.
"""

import asyncio
from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

import faust

from schemas.topics import TOPICS, Topic
from streams.runtime.carrier import Carrier
from streams.runtime.clients import Cluster
from streams.runtime.dead_letters import Skips
from streams.runtime.intake import RecordCodec
from streams.runtime.metrics import Exporter
from streams.runtime.progress import Progress
from streams.runtime.reader import Reader, Start
from streams.runtime.recovery import Recovery
from streams.runtime.source import Source
from streams.runtime.traces import Spans


class RoomTopic(faust.Topic):
    """A topic whose stream is fed by a room's carrier with batches, instead of by Faust's conductor with events."""

    def __aiter__(self) -> Any:
        if self.is_iterator:
            return self
        stream = self.clone(is_iterator=True)
        cast("Host", self.app).flows[self.get_topic_name()] = stream.queue
        return stream


class RoomTable(faust.Table[str, Any]):
    """A read-only view of the states of a room's partitions; Faust names its changelog."""

    carrier: Carrier

    @property
    def changelog_topic_name(self) -> str:
        """As stock Faust names it: `<app>-<table>-changelog`."""
        return str(self.changelog_topic.get_topic_name())

    @property
    def data(self) -> dict[str, Any]:  # type: ignore[override]  # Faust keeps a store there; ours is a view
        """States by key, of the live partitions, as last folded."""
        return {
            key: state
            for owned in self.carrier.owned.values()
            if owned.table is not None
            for key, state in list(owned.table.partition.states.items())
        }

    def __setitem__(self, key: str, value: Any) -> None:
        raise TypeError(f"{self.name} changes by folding records only")

    def __delitem__(self, key: str) -> None:
        raise TypeError(f"{self.name} changes by folding records only")


class Host(faust.App):
    """What a process offers its rooms and effects.

    environment: names every topic, group and transactional id; also Faust's app id, which names changelogs.
    topic_map: where records go; other than the engine's own in tests and examples.
    spans: where steps of traces go; None tells none.
    """

    def __init__(
        self,
        environment: str,
        bootstrap_servers: str | Cluster,
        codec: RecordCodec,
        data_dir: Path,
        *,
        topic_map: tuple[Topic, ...] = TOPICS,
        progress: Progress | None = None,
        spans: Spans | None = None,
        **faust_settings: Any,
    ):
        cluster = bootstrap_servers if isinstance(bootstrap_servers, Cluster) else Cluster(bootstrap_servers)
        self.environment = environment
        self.cluster = cluster
        self.codec = codec
        self.map = topic_map
        self.progress = progress or Progress()
        self.spans = spans
        self.recovery = Recovery(cluster)
        self.exporter = Exporter(environment)
        self.skips = Skips(cluster, codec, environment, topic_map)
        self.flows: dict[str, asyncio.Queue[Any]] = {}
        """By full name of the topic: the stream of the agent that reads it."""
        super().__init__(
            environment,
            broker=f"kafka://{cluster.bootstrap_servers.split(',', maxsplit=1)[0]}",
            store="memory://",
            datadir=data_dir,
            Topic=RoomTopic,
            Table=RoomTable,
            topic_disable_leader=True,
            **faust_settings,
        )

    def source(self, role: str, *, atomic_slot: str | None = None) -> Source:
        """A plain writer of this environment; the caller closes it."""
        return Source(
            self.cluster,
            self.codec,
            self.environment,
            role,
            progress=self.progress,
            topic_map=self.map,
            atomic_slot=atomic_slot,
        )

    def reader(self, topic: Topic, name: str, start: Start | Mapping[int, int] = Start.END) -> Reader:
        """A reader of this environment without group; the caller closes it."""
        return Reader(self.cluster, self.codec, topic, self.environment, start, self.progress, name)
