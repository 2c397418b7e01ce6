"""Chain: all rooms of the engine, execution and a venue in one history; judged by the folds and the venue's ledger."""

from collections import Counter, defaultdict
from decimal import Decimal
from random import Random
from typing import Any

from connectors.protocols import ClientIdUnique
from schemas.codec import Codec
from schemas.control import AccountOpened, ClockTick, Mode
from schemas.execution import ExecutionReport, NotSent, NotSentReason
from schemas.order import CancelOrder, ReplaceOrder, SubmitOrder
from schemas.record import Record
from schemas.topics import ACCOUNTS_INBOX, ORDERS_COMMANDS, TOPICS
from streams.accounts.account import Account
from streams.rooms import all_rooms
from streams.runtime.tables import Birth, Recovered, Table
from tests.simulation.engine import EngineWorker
from tests.simulation.outside import STEP_S, Follower, Outside, write
from tests.simulation.plan import How, Plan, Scene, Sent
from tests.simulation.run import Report, Run
from tests.simulation.scenario import START_US, STEP_US, opening, story
from tests.simulation.worker import ENVIRONMENT, changelog_of
from tests.simulation.world import Process

PATIENT_STEPS = 150
"""So many ticks may pass until the broker's silence about an order is resolved."""


def _make(random: Random) -> list[Sent]:
    steps = random.randrange(4, 11)
    mode = random.choice((Mode.REPLAY, Mode.PAPER))
    sent = [Sent(0.0, record, _how(random), role) for role, record in opening(mode)]
    silent_from = random.randrange(1, steps) if mode is Mode.PAPER and random.random() < CLOCK_AWAY else steps + 1
    for step, (role, record) in story(random, steps):
        if isinstance(record, ClockTick) and silent_from <= step < silent_from + SILENT_STEPS:
            continue
        sent.append(Sent(step * STEP_S + random.random() * 0.03, record, _how(random), role))
    return sorted(sent, key=lambda one: one.at_s)


def _how(random: Random) -> How:
    return How.TWICE if random.random() < 0.1 else How.WELL


CLOCK_AWAY = 0.3
"""How often the clock is silent for a while, where its silence counts."""
SILENT_STEPS = 5

ENGINE = Scene(
    "engine",
    all_rooms,
    Codec.local(),
    TOPICS,
    _make,
    busier=4,
    steps=("venue:sent", "venue:done", "outcome:sent", "outcome:done", "commit_offsets:sent"),
    calls=("venue", "venue", "venue"),
    batches=(3, 10, 500),
    marker_slow=(1.0, 1.0, 5.0),
)


class ChainRun(Run):
    """One run of the whole chain."""

    limit_s = 60.0

    def __init__(self, plan: Plan, **settings: Any):
        super().__init__(plan, **settings)
        unique = Random(plan.seed).choice((ClientIdUnique.ALWAYS, ClientIdUnique.NEVER))
        modes = [sent.record.mode for sent in plan.sent if isinstance(sent.record, AccountOpened)]
        self.outside = Outside(self.world, self.broker, plan.scene.codec, unique, plan.seed)
        self.outside.mode = modes[0] if modes else Mode.REPLAY
        self._commands = Follower(self.broker, ORDERS_COMMANDS)
        self._inbox = Follower(self.broker, ACCOUNTS_INBOX)
        self._asked: set[str] = set()
        self._answered: set[str] = set()
        self._not_sent: Counter[str] = Counter()
        self._ticks = 0
        self._patience = PATIENT_STEPS
        self._told_all_s = max((sent.at_s for sent in plan.sent), default=0.0) + 0.35

    def _worker(self, process: Process) -> Any:
        return EngineWorker(self.site, process, self.outside)

    def _write(self, sent: Sent) -> None:
        if isinstance(sent.record, ClockTick):
            self._ticks = max(self._ticks, (sent.record.event_time_us - START_US) // STEP_US)
        write(self.broker, self.plan.scene.codec, sent.role, sent.record)

    def _look(self) -> None:
        world = self.world
        if world.now < self._told_all_s or self._left() or not self.outside.at_rest:
            world.at(STEP_S, self._look)
            return
        if self._unresolved() and self._patience:
            self._patience -= 1
            self._ticks += 1
            if self.outside.mode is not Mode.REPLAY:
                self._ticks = max(self._ticks, (self.outside.now_us() - START_US) // STEP_US)
            tick = ClockTick(event_time_us=START_US + self._ticks * STEP_US, clock_id="clock")
            write(self.broker, self.plan.scene.codec, "clock", tick)
            world.at(STEP_S, self._look)
            return
        self._drained = True

    def _left(self) -> list[str]:
        left = super()._left()
        if not left:
            decode = self.plan.scene.codec.decode
            self._asked.update(_name(decode(stored.value())) for stored in self._commands.take())
            self._answered.update(_name(decode(stored.value())) for stored in self._inbox.take())
            left = [f"nothing is recorded of {name}" for name in sorted(self._asked - self._answered)]
        return left or self._unread(ORDERS_COMMANDS.full_name(ENVIRONMENT), "execution", ORDERS_COMMANDS.partitions)

    def _accounts(self) -> dict[str, Account]:
        """The accounts as their changelog has them."""
        room = next(room for room in self.rooms if room.name == "accounts")
        read: dict[int, Recovered] = defaultdict(lambda: Recovered(room))
        for message in self.broker.messages(changelog_of(room)):
            read[message.partition()].take(message.key() or b"", message.value())
        accounts: dict[str, Account] = {}
        for recovered in read.values():
            table: Table[Any, Any] = Table(room, Birth("", "", 0), recovered.decode())
            accounts.update(table.partition.states)
        return accounts

    def _unresolved(self) -> bool:
        orders = (order for account in self._accounts().values() for order in account.orders.values())
        return any(not order.broker_order_id for order in orders)

    def _judge(self, report: Report) -> None:
        super()._judge(report)
        report.wrong += self._orders()
        report.wrong += self._positions()
        report.refused.update(self._not_sent)

    def _orders(self) -> list[str]:
        """Each committed order has an outcome; what may not be sent twice was not; what was not sent is not there."""
        codec, broker = self.plan.scene.codec, self.broker
        outcomes: dict[str, list[str]] = defaultdict(list)
        not_sent: set[str] = set()
        for message in broker.messages(ACCOUNTS_INBOX.full_name(ENVIRONMENT)):
            match codec.decode(message.value()):
                case ExecutionReport(client_order_id=name, exec_type=exec_type):
                    outcomes[name].append(exec_type)
                case NotSent(client_order_id=name, reason=reason):
                    outcomes[name].append(reason)
                    self._not_sent[f"order that is {reason}"] += 1
                    if reason is not NotSentReason.UNAVAILABLE:
                        not_sent.add(name)
                case _:
                    pass
        wrong = []
        for message in broker.messages(ORDERS_COMMANDS.full_name(ENVIRONMENT)):
            command = codec.decode(message.value())
            if not isinstance(command, SubmitOrder):
                continue
            name, reached = command.client_order_id, self.outside.submitted[command.client_order_id]
            if not outcomes[name]:
                wrong.append(f"nothing is recorded of {name}, which reached the venue {reached} times")
            if reached > 1 and self.outside.unique is not ClientIdUnique.ALWAYS:
                wrong.append(f"{name} reached a venue {reached} times that takes it for another order each time")
            if name in not_sent and reached:
                wrong.append(f"{name} reached the venue, and is recorded as {outcomes[name]}")
        return wrong

    def _positions(self) -> list[str]:
        """What we believe to hold is what the venue's ledger says."""
        wrong = []
        for name, account in sorted(self._accounts().items()):
            ours = {i: holding.net.quantity for i, holding in account.holdings.items() if holding.net.quantity}
            theirs = {held.instrument_id: held.quantity for held in self.outside.venue.positions(name)}
            if ours != theirs:
                wrong.append(f"{name} holds {_plain(ours)}, the venue says {_plain(theirs)}")
        return wrong


def _name(record: Record) -> str:
    """What a command is called, and what its outcome calls it; a query's answer bears the name of the order."""
    match record:
        case SubmitOrder() | ExecutionReport() | NotSent():
            return record.client_order_id
        case CancelOrder() | ReplaceOrder():
            return record.request_id
        case _:
            return ""


def _plain(held: dict[str, Decimal]) -> dict[str, str]:
    return {name: str(quantity) for name, quantity in held.items()}
