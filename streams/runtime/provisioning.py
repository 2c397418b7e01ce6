"""Topics that rooms need beside those of the map: their changelogs, named as Faust names them."""

from collections.abc import Iterable

from connectors.kafka.provision import DesiredTopic, Provisioner
from schemas.topics import Topic
from streams.runtime.clients import Cluster

HOUR_MS = 3_600_000


def changelog(name: str, inbox: Topic, replication: int | None = None) -> DesiredTopic:
    """The changelog of the room that reads this inbox: partition by partition beside it, compacted."""
    copies = replication or inbox.replication
    return DesiredTopic(
        name,
        inbox.partitions,
        copies,
        {
            "cleanup.policy": "compact",
            "min.insync.replicas": str(min(inbox.min_insync, copies)),
            # A state is written again and again: compact early, or recovery reads history.
            "min.cleanable.dirty.ratio": "0.2",
            "segment.ms": str(HOUR_MS),
            "segment.bytes": str(64 * 2**20),
        },
    )


def provision(cluster: Cluster, wanted: Iterable[DesiredTopic]) -> None:
    """Make what is missing. Raises connectors.errors.ConnectorError where what exists must not be used."""
    Provisioner(cluster.settings()).apply(list(wanted))
