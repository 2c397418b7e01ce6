"""A room decides alike whether its states were never lost or were read from the changelog a moment ago."""

from dataclasses import replace
from random import Random
from typing import Any

import pytest

from schemas.record import Record
from streams.rooms import all_rooms
from streams.runtime.room import Room
from streams.runtime.tables import Birth, Recovered, Table
from tests.simulation.chain import ENGINE, ChainRun
from tests.simulation.histories import plan_of
from tests.simulation.worker import ENVIRONMENT

SEEDS = (3, 11, 42)


def inboxes(seed: int) -> dict[str, list[tuple[int, str | None, Record]]]:
    """What each room read in a history without faults: partition, key and record, in order."""
    history = ChainRun(replace(plan_of(seed, ENGINE), faults=()))
    assert history.report().ok
    return {
        room.name: [
            (message.partition(), room.reads.key_of(record), record)
            for message in history.broker.messages(room.reads.full_name(ENVIRONMENT))
            for record in (ENGINE.codec.decode(message.value()),)
        ]
        for room in all_rooms()
    }


def recovered(room: Room[Any, Any], changelog: dict[bytes, bytes], random: Random) -> Table[Any, Any]:
    """The table as a new owner reads it; the order of a changelog is not that of the states' making."""
    read = Recovered(room)
    keys = list(changelog)
    random.shuffle(keys)
    for key in keys:
        read.take(key, changelog[key])
    return Table(room, Birth("", "", 0), read.decode())


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("name", [room.name for room in all_rooms()])
def test_a_state_recovered_before_any_record_decides_as_one_that_was_never_lost(name: str, seed: int) -> None:
    room = next(room for room in all_rooms() if room.name == name)
    random = Random(seed)
    kept: dict[int, Table[Any, Any]] = {}
    lost: dict[int, Table[Any, Any]] = {}
    changelogs: dict[int, dict[bytes, bytes]] = {}
    for number, (partition, key, record) in enumerate(inboxes(seed)[name]):
        never = kept.setdefault(partition, Table(room, Birth("", "", 0)))
        again = lost.setdefault(partition, Table(room, Birth("", "", 0)))
        assert again.partition.fold(key, record) == never.partition.fold(key, record)
        never.writes(number)
        never.settle()
        changelog = changelogs.setdefault(partition, {})
        for write in again.writes(number):
            if write.value is None:
                changelog.pop(write.key, None)
            else:
                changelog[write.key] = write.value
        lost[partition] = recovered(room, changelog, random)
    for partition, never in kept.items():
        assert lost[partition].partition.states == never.partition.states
        assert lost[partition].partition.shared == never.partition.shared
