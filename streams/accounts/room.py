"""The accounts room: one fold for all that can change a decision about money."""

import decimal
from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager
from operator import attrgetter
from typing import Any, ClassVar

from schemas.control import AccountOpened, CashMovement, ClockTick, KillSwitch, StrategyControl
from schemas.dead_letter import UnreadableRecord
from schemas.execution import BrokerCash, BrokerPositions, ExecutionReport, NotSent
from schemas.intent import ManualOrder, TradeIntent
from schemas.market import MarkBatch
from schemas.record import Part, Record
from schemas.reference import CorporateAction, FeeSchedule, Instrument, TradingSession, TradingStatus
from schemas.risk import DiscrepancyResolved, LimitChange
from schemas.topics import ACCOUNTS_INBOX, Topic
from streams.accounts import brackets as linked
from streams.accounts import controls, corporate, manual, reports, ticks, wishes
from streams.accounts.account import Account, Condition, Holding, Profile, Totals, Trades
from streams.accounts.orders.brackets import Bracket
from streams.accounts.orders.order import Order
from streams.accounts.readings import readings
from streams.accounts.risk.earlier import EarlierFlow, flow_of
from streams.accounts.risk.portfolio import History
from streams.accounts.risk.recent import NO_REJECTS, Bucket, Flow, Page, Rejects
from streams.accounts.shared import KnownAction, KnownMark, Shared, Standing, Switch, Time, fold, pairs_of
from streams.accounts.snapshot import FOLD_VERSION
from streams.accounts.turn import Turn
from streams.runtime.room import EVERYONE, Outcome, Reading, Room

PRECISE = decimal.Context(prec=50, rounding=decimal.ROUND_HALF_EVEN)
"""Products of two wire decimals are exact in it."""

PARTS: tuple[tuple[str, type[Part]], ...] = (
    ("profile", Profile), ("condition", Condition), ("totals", Totals), ("trades", Trades),
)  # fmt: skip
SHARED_PARTS: dict[str, type[Part]] = {
    "time": Time, "instrument": Instrument, "mark": KnownMark, "fees": FeeSchedule, "calendar": TradingSession,
    "status": TradingStatus, "strategy": Standing, "switch": Switch, "action": KnownAction,
}  # fmt: skip


class Accounts(Room[Account, Shared]):
    """One Account for each key; one reader of all that can change a decision about its money."""

    name: ClassVar[str] = "accounts"
    reads: ClassVar[Topic] = ACCOUNTS_INBOX
    part_types: ClassVar[Mapping[str, type[Part]]] = {
        **dict(PARTS), "position": Holding, "order": Order, "history": History,
        "bracket": Bracket,
        "rejects": Rejects, "times": Page, "intents": Bucket, "prints": Bucket, "flow": EarlierFlow,
    }  # fmt: skip
    shared_type: ClassVar[type[Part]] = Shared
    version: ClassVar[int] = FOLD_VERSION

    def begin(self, key: str) -> Account:
        return Account(profile=Profile(account_id=key))

    def begin_shared(self) -> Shared:
        return Shared()

    def fold_shared(self, shared: Shared, record: Record) -> Outcome[Shared]:
        """Time, instruments, marks, fees, sessions, strategies and switches, for all accounts at once."""
        return Outcome(fold(shared, record))

    def fold(self, state: Account, shared: Shared, record: Record) -> Outcome[Account]:
        """What a record does to one account. Never raises on bad input: it is refused or denied with a code."""
        turn = Turn(state, shared, record.event_time_us)
        before = decimal.getcontext()
        decimal.setcontext(PRECISE)
        try:
            _fold(turn, record)
            if turn.account.brackets and (turn.outputs or not isinstance(record, MarkBatch)):
                linked.settle(turn)
        except ArithmeticError as error:
            turn = controls.refuse_numbers(Turn(state, shared, record.event_time_us), record, error)
        finally:
            decimal.setcontext(before)
        return Outcome(turn.account, tuple(turn.outputs))

    def interests(self, state: Account) -> Collection[str]:
        """Everyone's records, its own, and the marks of what it holds, works or watches."""
        return state.profile.tags

    def touches(self, record: Record) -> Collection[str]:
        """Whom a broadcast record concerns."""
        match record:
            case MarkBatch():
                return [f"i:{mark.instrument_id}" for mark in record.marks]
            case CorporateAction():
                return (f"i:{record.instrument_id}",)
            case ClockTick() | KillSwitch() | Instrument() | UnreadableRecord():
                return (EVERYONE,)
            case StrategyControl():
                return (f"a:{record.account_id}",)
            case _:
                return ()

    def parts(self, state: Account) -> Mapping[str, Part]:
        """The account in parts: what changes together is written together."""
        named: dict[str, Part] = {name: getattr(state, name) for name, _ in PARTS}
        flow = state.flow
        if flow.rejects is not NO_REJECTS:
            named["rejects"] = flow.rejects
        named.update(flow.intents)
        named.update(flow.prints)
        named.update((f"times:{name}:{page.number}", page) for name, pages in flow.times.items() for page in pages)
        named.update((f"position:{name}", holding) for name, holding in state.holdings.items())
        named.update((f"history:{name}", history) for name, history in state.histories.items())
        named.update((f"order:{name}", order) for name, order in state.orders.items())
        named.update((f"order:{name}", order) for name, order in state.ended.items())
        named.update((f"bracket:{name}", bracket) for name, bracket in state.brackets.items())
        return named

    def assemble(self, key: str, parts: Mapping[str, Part]) -> Account:
        """The account from its parts."""
        holdings: dict[str, Holding] = {}
        histories: dict[str, History] = {}
        orders: dict[str, Order] = {}
        ended: dict[str, Order] = {}
        brackets: dict[str, Bracket] = {}
        for name in sorted(parts):
            part = parts[name]
            if isinstance(part, Holding):
                holdings[part.instrument_id] = part
            elif isinstance(part, History):
                histories[name.partition(":")[2]] = part
            elif isinstance(part, Order):
                (ended if part.ended else orders)[part.client_order_id] = part
            elif isinstance(part, Bracket):
                brackets[part.bracket_id] = part
        profile = parts.get("profile", Profile(account_id=key))
        condition, totals = parts.get("condition", Condition()), parts.get("totals", Totals())
        trades = parts.get("trades", Trades())
        assert isinstance(profile, Profile), "the part `profile` is a Profile"
        assert isinstance(condition, Condition), "the part `condition` is a Condition"
        assert isinstance(totals, Totals), "the part `totals` is a Totals"
        assert isinstance(trades, Trades), "the part `trades` is a Trades"
        return Account(profile, condition, totals, _flow(parts), trades, histories, holdings, orders, ended, brackets)

    def shared_parts(self, shared: Shared) -> Mapping[str, Part]:
        """The shared state in parts: a mark changes often, an instrument hardly ever."""
        named: dict[str, Part] = {"time": shared.time}
        for kind, members in _members(shared):
            named.update((f"{kind}:{name}", part) for name, part in members.items())
        return named

    def assemble_shared(self, parts: Mapping[str, Part]) -> Shared:
        """The shared state from its parts."""
        by_kind: dict[str, dict[str, Any]] = {kind: {} for kind in SHARED_PARTS}
        for name in sorted(parts):
            kind, _, member = name.partition(":")
            by_kind[kind][member] = parts[name]
        instruments = by_kind["instrument"]
        return Shared(
            time=by_kind["time"].get("", Time()), instruments=instruments, marks=by_kind["mark"], fees=by_kind["fees"],
            calendars=by_kind["calendar"], statuses=by_kind["status"],
            strategies=by_kind["strategy"], switches=by_kind["switch"], pairs=pairs_of(instruments.values()),
            actions=by_kind["action"],
        )  # fmt: skip

    def shared_part_types(self) -> Mapping[str, type[Part]]:
        """Type of every part of the shared state by its kind."""
        return SHARED_PARTS

    def readings(self, state: Account, shared: Shared) -> Iterable[Reading]:
        """How the account stands."""
        return readings(state, shared)


@contextmanager
def precisely() -> Iterator[None]:
    """The decimal context of the room, for whoever calls its pure functions from outside a fold."""
    before = decimal.getcontext()
    decimal.setcontext(PRECISE)
    try:
        yield
    finally:
        decimal.setcontext(before)


def _members(shared: Shared) -> tuple[tuple[str, Mapping[str, Part]], ...]:
    return (
        ("instrument", shared.instruments), ("mark", shared.marks), ("fees", shared.fees),
        ("calendar", shared.calendars), ("status", shared.statuses),
        ("strategy", shared.strategies), ("switch", shared.switches), ("action", shared.actions),
    )  # fmt: skip


def _flow(parts: Mapping[str, Part]) -> Flow:
    """What went through lately, from the parts of an account; of an earlier state from the one part it has."""
    earlier = parts.get("flow")
    if isinstance(earlier, EarlierFlow):
        return flow_of(earlier)
    pages: dict[str, list[Page]] = {}
    buckets: dict[str, dict[str, Bucket]] = {"intents": {}, "prints": {}}
    for name, part in parts.items():
        kind, _, member = name.partition(":")
        if isinstance(part, Page):
            pages.setdefault(member.rpartition(":")[0], []).append(part)
        elif isinstance(part, Bucket):
            buckets[kind][name] = part
    times = {name: tuple(sorted(pages[name], key=attrgetter("number"))) for name in sorted(pages)}
    rejects = parts.get("rejects", NO_REJECTS)
    assert isinstance(rejects, Rejects), "the part `rejects` is a Rejects"
    return Flow(rejects, times, **buckets)


def _fold(turn: Turn, record: Record) -> None:
    match record:
        case MarkBatch():
            ticks.marks(turn, record)
        case ClockTick():
            if record.event_time_us == turn.shared.time.now_us:
                ticks.tick(turn)
        case TradeIntent():
            wishes.wish(turn, record)
        case ExecutionReport():
            reports.report(turn, record)
        case NotSent():
            reports.not_sent(turn, record)
        case ManualOrder():
            manual.manual(turn, record)
        case KillSwitch():
            controls.kill(turn, record)
        case StrategyControl():
            controls.control_strategy(turn, record)
        case Instrument():
            turn.retag()
        case CorporateAction():
            corporate.act(turn, record)
        case _:
            _control(turn, record)


def _control(turn: Turn, record: Record) -> None:
    match record:
        case AccountOpened():
            controls.open_account(turn, record)
        case CashMovement():
            controls.move_cash(turn, record)
        case LimitChange():
            controls.change_limits(turn, record)
        case BrokerPositions():
            controls.reconcile_positions(turn, record)
        case BrokerCash():
            controls.reconcile_cash(turn, record)
        case DiscrepancyResolved():
            controls.resolve(turn, record)
        case UnreadableRecord():
            controls.unreadable(turn, record)
        case _:
            return
