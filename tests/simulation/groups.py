"""Group: members of a consumer group, cooperatively sharing the partitions of one topic.

A rebalance waits until every member has joined; then the generation rises. Who holds a partition that shall be
another's is told to let it go, and joins again; only then it is given away. A member with an instance name that
comes back under the same name takes its place without a rebalance, and the former one is fenced.
"""

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

from confluent_kafka import KafkaError

from tests.simulation.world import World

if TYPE_CHECKING:
    from tests.simulation.clients import SimConsumer


class Metadata(NamedTuple):
    """A member's proof of membership, as it travels with offsets."""

    group: str
    generation: int
    member: str
    instance: str | None


@dataclass(slots=True)
class Member:
    """One member. `claims`: what it said it holds when it joined; `given`: what the group last gave it."""

    name: str
    instance: str | None
    client: "SimConsumer"
    claims: set[int] = field(default_factory=set)
    given: set[int] = field(default_factory=set)
    joined: bool = False


class Group:
    """One group."""

    def __init__(self, world: World, name: str, partitions: int, session_s: float):
        self.world = world
        self.name = name
        self.partitions = partitions
        self.session_s = session_s
        self.heartbeat_s = session_s / 4
        self.generation = 0
        self.rebalancing = False
        self.members: dict[str, Member] = {}
        self.committed: dict[int, int] = {}
        self.notes: dict[int, str] = {}
        self.pending: dict[int, tuple[Any, set[int]]] = {}
        self.checks = True
        self.rebalances = 0
        self._names = 0

    def refusal(self, proof: Metadata) -> int | None:
        """Why these offsets cannot be taken from this member; None if they can."""
        if not self.checks:
            return None
        if proof.member not in self.members:
            if proof.instance is not None and any(m.instance == proof.instance for m in self.members.values()):
                return KafkaError.FENCED_INSTANCE_ID
            return KafkaError.UNKNOWN_MEMBER_ID
        return None if proof.generation == self.generation else KafkaError.ILLEGAL_GENERATION

    def unstable(self, partition: int) -> bool:
        """Whether an undecided transaction holds an offset of the partition."""
        return any(partition in partitions for _, partitions in self.pending.values())

    def join(self, client: "SimConsumer", name: str, instance: str | None, claims: set[int]) -> None:
        """A member joins, for the first time or again."""
        member = self.members.get(name) if name else None
        if name and member is None:
            self._refuse(client, instance)
            return
        if member is None:
            self._names += 1
            member = Member(f"m{self._names}", instance, client)
            if instance is not None and self._takes_place(member):
                return
            self.members[member.name] = member
            if not client.process.alive or client.process.paused:
                self.silent(member.name)
        member.claims, member.joined = set(claims), True
        client.member = member.name
        if not self.rebalancing:
            self._prepare()
        self._complete_if_all_joined()

    def leave(self, name: str) -> None:
        """A member goes, of itself or because it was silent for too long."""
        if self.members.pop(name, None) is None:
            return
        if self.members and not self.rebalancing:
            self._prepare()
        self._complete_if_all_joined()

    def silent(self, name: str) -> None:
        """A member's process went silent; its session will end, unless it wakes up before."""
        member = self.members.get(name)
        if member is None:
            return
        process = member.client.process
        pauses = process.pauses

        def over() -> None:
            if self.members.get(name) is member and (
                not process.alive or (process.paused, process.pauses) == (True, pauses)
            ):
                self.world.tell(f"session of {name} ({process.name}) ended")
                self.leave(name)

        self.world.at(self.session_s - self.world.chance() * self.heartbeat_s, over)

    def _refuse(self, client: "SimConsumer", instance: str | None) -> None:
        replaced = instance is not None and any(m.instance == instance for m in self.members.values())
        self.world.at(self.world.latency(), client.refused(replaced), client.process)

    def _takes_place(self, member: Member) -> bool:
        """Whether the new member stepped into the place of a former one without a rebalance."""
        former = next((m for m in self.members.values() if m.instance == member.instance), None)
        if former is None:
            return False
        del self.members[former.name]
        self.members[member.name] = member
        member.client.member = member.name
        if not member.client.process.alive or member.client.process.paused:
            self.silent(member.name)
        self.world.at(self.world.chance() * self.heartbeat_s, former.client.refused(True), former.client.process)
        given = {p for other in self.members.values() for p in other.given} | former.given
        if self.rebalancing or len(given) < self.partitions:
            return False
        member.given = set(former.given)
        self._tell(member)
        return True

    def _prepare(self) -> None:
        self.rebalancing = True
        self.rebalances += 1
        for member in self.members.values():
            if not member.joined:
                wait = self.world.chance() * self.heartbeat_s
                self.world.at(wait, member.client.hear_rebalance, member.client.process)

    def _complete_if_all_joined(self) -> None:
        if not self.rebalancing or not all(member.joined for member in self.members.values()):
            return
        self.rebalancing = False
        if not self.members:
            return
        self.generation += 1
        wanted = self._shares()
        held = {p for member in self.members.values() for p in member.claims}
        for member in self.members.values():
            member.joined = False
            target = wanted[member.name]
            member.given = (member.claims & target) | {p for p in target if p not in held}
            self._tell(member)
        self.world.tell(
            f"{self.name} generation {self.generation}: "
            + ", ".join(f"{m.client.process.name} {sorted(m.given)}" for m in self.members.values())
        )

    def _tell(self, member: Member) -> None:
        generation, given = self.generation, set(member.given)
        self.world.at(
            self.world.latency(), lambda: member.client.synced(member.name, generation, given), member.client.process
        )

    def _shares(self) -> dict[str, set[int]]:
        """Even shares that move as little as possible."""
        names = sorted(self.members)
        least, more = divmod(self.partitions, len(names))
        by_held = sorted(names, key=lambda name: (-len(self.members[name].claims), name))
        quota = {name: least + (at < more) for at, name in enumerate(by_held)}
        taken: set[int] = set()
        shares: dict[str, set[int]] = {}
        for name in names:
            keep = sorted(self.members[name].claims - taken)
            self.world.random.shuffle(keep)
            shares[name] = set(keep[: quota[name]])
            taken |= shares[name]
        free = [p for p in range(self.partitions) if p not in taken]
        for name in names:
            while len(shares[name]) < quota[name]:
                shares[name].add(free.pop())
        return shares
