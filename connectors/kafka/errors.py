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

from confluent_kafka import KafkaError, KafkaException

from connectors.errors import ConnectorError, Refused, Unavailable

_DENIED = {
    KafkaError.TOPIC_AUTHORIZATION_FAILED,
    KafkaError.CLUSTER_AUTHORIZATION_FAILED,
    KafkaError.GROUP_AUTHORIZATION_FAILED,
    KafkaError.TRANSACTIONAL_ID_AUTHORIZATION_FAILED,
    KafkaError.SASL_AUTHENTICATION_FAILED,
    KafkaError._AUTHENTICATION,
}
_SILENT = {
    KafkaError._TRANSPORT,
    KafkaError._ALL_BROKERS_DOWN,
    KafkaError._TIMED_OUT,
    KafkaError._TIMED_OUT_QUEUE,
    KafkaError._MSG_TIMED_OUT,
    KafkaError._RESOLVE,
}
_OVERTAKEN = {KafkaError._FENCED, KafkaError.PRODUCER_FENCED, KafkaError.INVALID_PRODUCER_EPOCH}


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


def explained(what: str, servers: str, error: KafkaException) -> ConnectorError:
    """Our error for a client's or broker's. `what` was being done at `servers`."""
    reason: KafkaError = error.args[0]
    code = reason.code()
    if code in _DENIED:
        return NotPermitted(f"{what}: {reason.str()}; give this user the right, see `quantumleap topics acl`")
    if code in _OVERTAKEN:
        return KafkaUnreachable(f"{what}: another process did the same a moment later; try again")
    if code == KafkaError.INVALID_REPLICATION_FACTOR:
        return ReplicationDiffers(f"{what}: {reason.str()}; ask for as many copies as there are brokers, or fewer")
    if code in _SILENT or reason.retriable():
        return KafkaUnreachable(f"{what}: Kafka at {servers} did not answer ({reason.str()}); is it running?")
    return Refused(f"{what}: Kafka at {servers} refused ({reason.str()})", code=str(reason.name()))
