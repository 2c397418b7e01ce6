"""Mutations: the contract with one of its rules broken. The simulator must catch each; else it proves nothing."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from types import SimpleNamespace
from typing import Any

from confluent_kafka import KafkaException

from streams.runtime import door, recovery, source
from streams.runtime.carrier import Carrier
from streams.runtime.effect import KafkaEffect
from streams.runtime.ledger import BUSY, CLEAN, Ledger
from streams.runtime.partition import Partition
from streams.runtime.tables import Recovered, StateWrite, Table
from tests.simulation.broker import Laws, Record
from tests.simulation.clients import SimProducer
from tests.simulation.histories import run
from tests.simulation.plan import Plan
from tests.simulation.run import Report


@dataclass(frozen=True)
class Mutation:
    """One broken rule.

    laws: of the broker.
    replaced: (owner, name) and what stands there instead; given what stood there before.
    """

    name: str
    laws: Laws = field(default_factory=Laws)
    replaced: Mapping[tuple[Any, str], Callable[[Any], Any]] = field(default_factory=dict)

    @contextmanager
    def applied(self) -> Iterator[None]:
        """Break the rule for a while."""
        before = {(owner, name): getattr(owner, name) for owner, name in self.replaced}
        try:
            for (owner, name), make in self.replaced.items():
                setattr(owner, name, make(before[owner, name]))
            yield
        finally:
            for (owner, name), value in before.items():
                setattr(owner, name, value)

    def run(self, plan: Plan) -> Report:
        """Live through a plan with the rule broken."""
        with self.applied():
            return run(plan, laws=self.laws)


def _commit_at_once(producer: SimProducer, places: Any, metadata: Any) -> None:
    offsets = {place.partition: place.offset for place in places}
    broker = producer._broker
    group = broker.group(metadata.group, places[0].topic)
    producer._world.call("add_offsets", lambda: group.committed.update(offsets))


def _offsets_first(_before: Any) -> Any:
    def send(producer: SimProducer, places: Any, metadata: Any, _timeout: float = 0) -> None:
        producer._check()
        _commit_at_once(producer, places, metadata)

    return send


def _offsets_after(before: Any) -> Any:
    """Keeps the offsets until the transaction is committed."""

    def commit(producer: SimProducer, timeout: float = 0) -> None:
        before(producer, timeout)
        _commit_at_once(producer, *producer.__dict__.pop("kept"))

    return commit


def _keep(_before: Any) -> Any:
    def send(producer: SimProducer, places: Any, metadata: Any, _timeout: float = 0) -> None:
        producer._check()
        producer.__dict__["kept"] = (places, metadata)

    return send


def _outputs_outside(before: Any) -> Any:
    """Outputs are visible at once; only states belong to the transaction."""

    def produce(producer: SimProducer, topic: str, value: Any, key: Any, partition: int = -1, **more: Any) -> None:
        before(producer, topic, value, key, partition, **more)
        if "changelog" not in topic:
            record: Record = producer._queue.pop()
            producer._world.call("produce", lambda: producer._broker.append(record))

    return produce


def _from_the_beginning(before: Any) -> Any:
    """Recovery's answer, but the records that were folded come again."""

    def start(job: Any, read: Any, birth: Any) -> int:
        before(job, read, birth)
        return int(job.source_low)

    return start


def _no_applied_check(before: Any) -> Any:
    def folded(self: Any, table: Table[Any, Any], batch: Any) -> Any:
        kept, table.applied = table.applied, -1
        try:
            return before(self, table, batch)
        finally:
            table.applied = kept

    return folded


def _only_last_key(before: Any) -> Any:
    def writes(table: Table[Any, Any], applied: int) -> list[StateWrite]:
        found: list[StateWrite] = before(table, applied)
        return found[-1:]

    return writes


def _no_tombstones(before: Any) -> Any:
    def writes(table: Table[Any, Any], applied: int) -> list[StateWrite]:
        return [write for write in before(table, applied) if write.value is not None]

    return writes


def _skips_states(before: Any) -> Any:
    """Every third record of a changelog is not read."""

    def take(read: Recovered, key: bytes, value: bytes | None) -> None:
        if key == b"birth" or read.records % 3 != 2:
            before(read, key, value)
        else:
            read.records += 1

    return take


def _commits_any(before: Any) -> Any:
    """A timed-out commit is taken for a failed one, and the batch is written again."""

    def finish(producer: SimProducer, label: str, outcome: Any) -> None:
        try:
            before(producer, label, outcome)
        except KafkaException:
            if label != "commit":
                raise
            producer._begun = False
            records = list(producer.__dict__.get("sent", ()))
            producer._insist("produce", lambda: producer._broker.produce(producer._name, producer._epoch, records))
            before(producer, label, outcome)

    return finish


def _remembers(before: Any) -> Any:
    def flush(producer: SimProducer, timeout: float = 0) -> int:
        if producer._queue:
            producer.__dict__["sent"] = list(producer._queue)
        return int(before(producer, timeout))

    return flush


def _without_index(_before: Any) -> Any:
    """Interests are known of keys that changed since the start, not of recovered ones."""

    def begin(partition: Partition[Any, Any], room: Any, states: Any = None, shared: Any = None) -> None:
        partition._room, partition._broadcast = room, room.reads.broadcast
        partition.states = states or {}
        partition.shared = shared if shared is not None else room.begin_shared()
        partition.changed, partition.shared_changed = set(), False
        partition._tags, partition._keys_by_tag = {}, {}

    return begin


def _without_what_is_said(before: Any) -> Any:
    return lambda who, event_id, ordinal, said, _value, *partition: before(
        who, event_id, ordinal, said, b"", *partition
    )


def _asks_nobody(before: Any) -> Any:
    """Whether a command was read before is not told."""

    def context(door_of_effect: Any, *arguments: Any) -> Any:
        return replace(before(door_of_effect, *arguments), redelivered=False)

    return context


def _believes_at_once(before: Any) -> Any:
    """An asynchronous commit is taken for done, whatever the broker says."""

    def on_commit(effect: Any, _error: Any, places: Any) -> None:
        done = [SimpleNamespace(partition=place.partition, offset=place.offset, error=None) for place in places]
        before(effect, None, done)

    return on_commit


def _released_when_begun(before: Any) -> Any:
    def begin(ledger: Ledger, offset: int) -> None:
        before(ledger, offset)
        ledger.record(offset)

    return begin


def _doubt_ends_with_its_owner(_before: Any) -> Any:
    return lambda ledger, _caught_up: BUSY if ledger.running else CLEAN


MUTATIONS: tuple[Mutation, ...] = (
    Mutation("writers are not fenced", Laws(fences_writers=False)),
    Mutation("members are not fenced", Laws(fences_members=False)),
    Mutation("recovery is told offsets of undecided transactions", Laws(withholds_unstable=False)),
    Mutation("recovery reads undecided and aborted states", Laws(recovers_committed=False)),
    Mutation("recovery stops at the last stable offset", Laws(recovers_to_end=False)),
    Mutation(
        "offsets are committed outside of the transaction, before it",
        replaced={(SimProducer, "send_offsets_to_transaction"): _offsets_first},
    ),
    Mutation(
        "offsets are committed outside of the transaction, after it",
        replaced={
            (SimProducer, "send_offsets_to_transaction"): _keep,
            (SimProducer, "commit_transaction"): _offsets_after,
        },
    ),
    Mutation("outputs are written outside of the transaction", replaced={(SimProducer, "produce"): _outputs_outside}),
    Mutation(
        "a commit that timed out is done again",
        replaced={(SimProducer, "_finish"): _commits_any, (SimProducer, "flush"): _remembers},
    ),
    Mutation(
        "a new owner folds from the beginning and does not look at what was applied",
        replaced={
            (recovery, "checked_start"): _from_the_beginning,
            (door.Door, "_folded"): _no_applied_check,
        },
    ),
    Mutation("recovery does not read all states", replaced={(Recovered, "take"): _skips_states}),
    Mutation("only one of the changed states is written", replaced={(Table, "writes"): _only_last_key}),
    Mutation("parts that are gone stay in the changelog", replaced={(Table, "writes"): _no_tombstones}),
    Mutation("recovered keys are forgotten by broadcasts", replaced={(Partition, "__init__"): _without_index}),
    Mutation(
        "what was read of a lost partition is kept",
        replaced={(Carrier, "_forget_pending"): lambda _: lambda *_: None},
    ),
    Mutation(
        "a partition is given away while its batch is in hand, and nobody asks whether it is still ours",
        replaced={
            (Carrier, "_quiesce"): lambda _: lambda _: True,
            (Carrier, "is_ours"): lambda _: lambda *_: True,
        },
    ),
)
"""Every rule of the contract that a mutation can break and the rest of the runtime does not make good."""

EFFECT_MUTATIONS: tuple[Mutation, ...] = (
    Mutation("a command read again is sent as if it were new", replaced={(KafkaEffect, "_context"): _asks_nobody}),
    Mutation(
        "a command is released before its outcome lies in the log", replaced={(Ledger, "begin"): _released_when_begun}
    ),
    Mutation("offsets that were refused count as committed", replaced={(KafkaEffect, "_on_commit"): _believes_at_once}),
    Mutation("outcomes are named by their command alone", replaced={(source, "output_id"): _without_what_is_said}),
    Mutation(
        "whoever gives a partition on forgets what the owner before may have begun",
        replaced={(Ledger, "note"): _doubt_ends_with_its_owner},
    ),
)
"""Rules of the effect's contract; the venue's ledger is the judge."""
