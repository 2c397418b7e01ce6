"""Slots: a stable name for one worker of a room. Two processes with one name would fence each other for ever.

A member of a group carries its slot in its client id, with the process behind it. Who starts in a slot that a living
process holds is refused; one whose process is gone was killed, and the new start takes over at once.
"""

import os
import socket
import time
from pathlib import Path

from confluent_kafka import KafkaException

from streams.runtime.clients import Cluster, administrator

ANSWER_S = 10.0
LOOK_EVERY_S = 0.5


class SlotTaken(RuntimeError):
    """Another process runs in this slot."""


def occupant(slot: str) -> str:
    """This process in its slot: `<slot>@<host>/<pid>/<start>`."""
    return f"{slot}@{socket.gethostname()}/{os.getpid()}/{_started(os.getpid())}"


def check(cluster: Cluster, group: str, instance: str, slot: str) -> None:
    """Raise SlotTaken where another living process is a member under this fixed name.

    A process that runs here no longer was killed. Any other holds the slot if it is still a member after the session:
    one on another host cannot be asked, and one that left the room lives on in the group for so long.
    """
    other = _holder(cluster, group, instance)
    if other is None or _is_gone(other, slot):
        return
    give_up = time.monotonic() + cluster.session_ms / 1000 + 2
    while time.monotonic() < give_up:
        time.sleep(LOOK_EVERY_S)
        if _holder(cluster, group, instance) is None:
            return
    raise SlotTaken(
        f"slot {slot} of {group} is held by {other}: two workers of one name fence each other. "
        f"Give this one another slot (QL_SLOT), or end the other"
    )


def _holder(cluster: Cluster, group: str, instance: str) -> str | None:
    """The client id of the member with this fixed name."""
    admin = administrator(cluster)
    try:
        described = admin.describe_consumer_groups([group], request_timeout=ANSWER_S)[group].result(2 * ANSWER_S)
    except KafkaException as error:
        if error.args[0].retriable():
            return None
        raise
    return next((str(one.client_id) for one in described.members if one.group_instance_id == instance), None)


def _is_gone(name: str, slot: str) -> bool:
    """Whether the process of this name ran here, and does not any more, or is this one."""
    parts = name.rpartition("@")[2].split("/")
    if len(parts) != 3 or parts[0] != socket.gethostname():
        return False
    return name == occupant(slot) or _started(int(parts[1])) != parts[2]


def _started(pid: int) -> str:
    """When the process started, in ticks of the kernel; empty where there is none."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[19]
    except (FileNotFoundError, ProcessLookupError):
        return ""
