"""The verdict: the venue's ledger against what our log says of every intent, and our positions against its own."""

import re
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from decimal import Decimal

from schemas.execution import Fill
from schemas.order import OrderEvent, OrderStatus
from schemas.position import PositionState
from schemas.risk import Discrepancy, RiskVerdict
from schemas.topics import ACCOUNTS_EVENTS
from streams.runtime.reader import Reader, Start
from tests.soak.floor import Floor
from tests.venue.judge import Judge

_NUMBERS = re.compile(r"[0-9][0-9a-f:.TZ-]*|ql-[a-z0-9]+|A[0-9]\b")

UNDECIDED = {OrderStatus.PENDING_NEW, OrderStatus.UNKNOWN}
NEVER_THERE = {OrderStatus.DENIED, OrderStatus.REJECTED}
WORKING = {
    OrderStatus.NEW, OrderStatus.PARTIALLY_FILLED, OrderStatus.PENDING_CANCEL, OrderStatus.PENDING_REPLACE,
    OrderStatus.SUSPENDED,
}  # fmt: skip


class Story:
    """What accounts said so far: of every intent its verdicts, of every order its newest state, positions, fills."""

    def __init__(self, floor: Floor):
        self.verdicts: dict[str, list[RiskVerdict]] = defaultdict(list)
        self.orders: dict[str, OrderEvent] = {}
        self.positions: dict[tuple[str, str], Decimal] = {}
        self.fills: dict[tuple[str, str], Decimal] = {}
        self.cases: dict[str, Discrepancy] = {}
        self.opened: Counter[str] = Counter()
        self.triggers: Counter[str] = Counter()
        self.doubts: Counter[str] = Counter()
        self.first_us: dict[str, int] = {}
        self.answered_us: dict[str, int] = {}
        self.repeated = 0
        self._reader = Reader(floor.cluster, floor.codec, ACCOUNTS_EVENTS, floor.environment, Start.BEGINNING)

    def read(self, seconds: float = 0.05) -> int:
        """Take in what has come; how much it was."""
        received = self._reader.poll(seconds, 5_000)
        for one in received:
            self._take(one.record)
        return len(received)

    def read_to_end(self) -> None:
        """Take in all that is there."""
        while self.read(0.2) or not self._reader.at_end:
            pass

    def close(self) -> None:
        """Leave the topic."""
        self._reader.close()

    def undecided(self) -> list[str]:
        """Orders of which nobody knows yet whether they exist, or whose request is not answered."""
        waiting = {*UNDECIDED, OrderStatus.PENDING_CANCEL, OrderStatus.PENDING_REPLACE}
        return [name for name, order in self.orders.items() if order.status in waiting]

    def open_cases(self) -> list[Discrepancy]:
        """Discrepancies that nobody has settled."""
        return [case for case in self.cases.values() if case.open]

    def _take(self, record: object) -> None:
        match record:
            case RiskVerdict():
                self.verdicts[record.intent_id].append(record)
            case OrderEvent():
                name = record.client_order_id
                self.first_us.setdefault(name, record.event_time_us)
                if record.status not in UNDECIDED:
                    self.answered_us.setdefault(name, record.event_time_us)
                self.orders[name] = record
                self.triggers[record.trigger] += 1
                if record.trigger in ("UNKNOWN", "NOT_SENT"):
                    self.doubts[_NUMBERS.sub("#", f"{record.trigger} {record.reason}")[:110]] += 1
            case PositionState():
                self.positions[record.account_id, record.instrument_id] = record.quantity
            case Fill():
                key = (record.account_id, record.fill_id)
                self.repeated += key in self.fills
                self.fills[key] = record.quantity
            case Discrepancy():
                if record.open and record.discrepancy_id not in self.cases:
                    self.opened[f"{record.kind} {record.reason}".strip()] += 1
                self.cases[record.discrepancy_id] = record
            case _:
                pass


@dataclass
class Verdict:
    """Counts, and every way in which the two sides differ."""

    intents: int = 0
    orders: int = 0
    at_venue: int = 0
    denied: Counter[str] = field(default_factory=Counter)
    statuses: Counter[str] = field(default_factory=Counter)
    fills: int = 0
    lost: list[str] = field(default_factory=list)
    doubled: list[str] = field(default_factory=list)
    strangers: list[str] = field(default_factory=list)
    differing: list[str] = field(default_factory=list)
    undecided: list[str] = field(default_factory=list)
    cases: list[str] = field(default_factory=list)
    asked_twice: int = 0
    faults: Counter[str] = field(default_factory=Counter)

    @property
    def right(self) -> bool:
        """Whether every intent ended as one order or one recorded denial, and both sides hold the same."""
        wrong = (self.lost, self.doubled, self.strangers, self.differing, self.undecided, self.cases)
        return not any(wrong) and self.intents > 0

    def lines(self) -> list[str]:
        """The verdict for people."""
        told = [
            f"intents {self.intents}, orders {self.orders}, at the venue {self.at_venue}, fills {self.fills}",
            f"denied {dict(self.denied)}",
            f"statuses {dict(self.statuses)}",
            f"orders asked for more than once at the socket {self.asked_twice}",
            f"requests that the venue answered wrongly {dict(self.faults)}",
        ]
        for name in ("lost", "doubled", "strangers", "differing", "undecided", "cases"):
            found = getattr(self, name)
            told.append(f"{name} {len(found)}" + (f": {found[:10]}" if found else ""))
        return [*told, "RIGHT" if self.right else "WRONG"]


def judge(floor: Floor, story: Story, intents: list[str]) -> Verdict:
    """Hold the log against the venue's ledger."""
    verdict = Verdict(intents=len(intents))
    with Judge(floor.folder / "venue") as ledger:
        theirs = {order.client_order_id: order for order in ledger.orders() if not order.external}
        names = Counter(order.client_order_id for order in ledger.orders() if not order.external)
        executions = [one for one in ledger.executions() if one.kind in ("fill", "partial_fill")]
        verdict.at_venue = len(theirs)
        verdict.doubled += [name for name, count in names.items() if count > 1]
        verdict.faults = ledger.faults()
        verdict.asked_twice = sum(count > 1 for count in ledger.attempts("submit").values())
        positions = {
            (name, symbol): quantity
            for name in floor.account_ids
            for symbol, quantity in ledger.positions(f"P{name}").items()
        }
    ours: set[str] = set()
    for intent in intents:
        said = story.verdicts.get(intent, [])
        if len(said) != 1:
            (verdict.doubled if said else verdict.lost).append(f"{intent}: {len(said)} verdicts")
            continue
        if not said[0].approved:
            verdict.denied[said[0].code] += 1
            continue
        name = said[0].client_order_id
        ours.add(name)
        verdict.orders += 1
        order = story.orders.get(name)
        if order is None:
            verdict.lost.append(f"{name}: no event")
            continue
        verdict.statuses[order.status] += 1
        there = theirs.get(name)
        if order.status in UNDECIDED:
            verdict.undecided.append(name)
        elif order.status in NEVER_THERE:
            if there is not None:
                verdict.differing.append(f"{name}: {order.status} by us, {there.status} there")
        elif there is None:
            verdict.lost.append(f"{name}: {order.status} by us, not there")
        elif there.filled != order.cumulative_quantity or there.working != (order.status in WORKING):
            verdict.differing.append(
                f"{name}: {order.status} {order.cumulative_quantity} by us, {there.status} {there.filled} there"
            )
    verdict.strangers += [name for name in theirs if name not in ours]
    held = {key: quantity for key, quantity in story.positions.items() if quantity}
    verdict.differing += [
        f"position {key}: {held.get(key, 0)} by us, {positions.get(key, 0)} there"
        for key in sorted({*held, *positions})
        if held.get(key, Decimal(0)) != positions.get(key, Decimal(0))
    ]
    verdict.fills = len(story.fills)
    if executions and len(executions) != len(story.fills):
        verdict.differing.append(f"fills: {len(story.fills)} by us, {len(executions)} there")
    if story.repeated:
        verdict.doubled.append(f"{story.repeated} fills told twice")
    verdict.cases += [f"{case.kind} {case.ours} | {case.theirs} {case.reason}" for case in story.open_cases()]
    return verdict
