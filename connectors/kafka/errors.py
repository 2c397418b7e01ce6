"""Why Kafka is not as we need it.

KafkaNotReady (a ConnectorError)
|-- KafkaUnreachable      nobody answered in time: the same call may be repeated
|-- NotPermitted          we may not do this: a right is missing
|-- PartitionsDiffer      a topic has another partition count than the map: for life, so a person decides
|-- ReplicationDiffers    a topic has another number of copies than the map
|-- NoEnvironment         the environment was never made
|-- ModeDiffers           the environment was made for another mode
`-- EnvironmentUnreadable what `control.environment` holds is not ours
"""

from connectors.errors import ConnectorError, Refused, Unavailable


class KafkaUnreachable(Unavailable):
    """No broker answered in time."""


class NotPermitted(Refused):
    """The broker says that we may not."""

    def __init__(self, message: str) -> None:
        super().__init__(message, code="NOT_PERMITTED")


class PartitionsDiffer(Refused):
    """A topic has another partition count than the map; nothing was changed."""

    def __init__(self, message: str) -> None:
        super().__init__(message, code="PARTITIONS_DIFFER")


class ReplicationDiffers(Refused):
    """A topic has another number of copies than asked for; nothing was changed."""

    def __init__(self, message: str) -> None:
        super().__init__(message, code="REPLICATION_DIFFERS")


class NoEnvironment(Refused):
    """The environment was never made."""

    def __init__(self, message: str) -> None:
        super().__init__(message, code="NO_ENVIRONMENT")


class ModeDiffers(Refused):
    """The environment was made for another mode; this process must not start."""

    def __init__(self, message: str) -> None:
        super().__init__(message, code="MODE_DIFFERS")


class EnvironmentUnreadable(Refused):
    """The environment's record cannot be read; unknown means no."""

    def __init__(self, message: str) -> None:
        super().__init__(message, code="ENVIRONMENT_UNREADABLE")


__all__ = [
    "ConnectorError",
    "EnvironmentUnreadable",
    "KafkaUnreachable",
    "ModeDiffers",
    "NoEnvironment",
    "NotPermitted",
    "PartitionsDiffer",
    "ReplicationDiffers",
]
