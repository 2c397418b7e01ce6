"""A small room for tests of the runtime: counts cash by account, and tells it when the clock ticks."""

from decimal import Decimal
from typing import ClassVar

from msgspec.structs import replace

from schemas.control import CashMovement, ClockTick, TradingState
from schemas.position import AccountSnapshot
from schemas.record import Part, Record
from schemas.topics import ACCOUNTS_INBOX, Topic
from streams.runtime.room import Outcome, Room


class Tally(Part, frozen=True):
    """Cash of one account."""

    account_id: str
    cash: Decimal = Decimal(0)


class Now(Part, frozen=True):
    """The newest tick."""

    time_us: int = 0


class TallyRoom(Room[Tally, Now]):
    """Reads accounts.inbox as accounts does; says a snapshot for each account with cash at each tick."""

    name: ClassVar[str] = "accounts"
    reads: ClassVar[Topic] = ACCOUNTS_INBOX
    part_types: ClassVar = {"state": Tally}
    shared_type: ClassVar = Now

    def begin(self, key: str) -> Tally:
        return Tally(key)

    def begin_shared(self) -> Now:
        return Now()

    def fold_shared(self, shared: Now, record: Record) -> Outcome[Now]:
        if isinstance(record, ClockTick) and record.event_time_us > shared.time_us:
            return Outcome(Now(record.event_time_us))
        return Outcome(shared)

    def fold(self, state: Tally, shared: Now, record: Record) -> Outcome[Tally]:
        match record:
            case CashMovement():
                return Outcome(replace(state, cash=state.cash + record.amount))
            case ClockTick():
                return Outcome(state, (snapshot(state, shared.time_us),))
            case _:
                return Outcome(state)

    def interests(self, state: Tally) -> tuple[str, ...]:
        return ("with cash",) if state.cash else ()

    def touches(self, record: Record) -> tuple[str, ...]:
        return ("with cash",)


def snapshot(state: Tally, time_us: int) -> AccountSnapshot:
    """What the room says of one account."""
    return AccountSnapshot(
        event_time_us=time_us,
        account_id=state.account_id,
        state=str(state.cash).encode(),
        state_hash="",
        fold_version=1,
        trading_state=TradingState.ACTIVE,
    )


def cash(account: str, amount: int, movement: str = "m") -> CashMovement:
    """A deposit or withdrawal."""
    return CashMovement(
        event_time_us=1, account_id=account, movement_id=movement, currency="USD", amount=Decimal(amount), reason="test"
    )


def tick(time_us: int) -> ClockTick:
    """The clock says so."""
    return ClockTick(event_time_us=time_us, clock_id="test")
