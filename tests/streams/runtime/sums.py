"""A worked room, as a newcomer would write one: running sums by account, with limits.

Reads `sums.inbox`: payments by account, and limits for everybody. Writes `sums.results`: for each payment the sum
after it, or the reason why it was refused. Keeps the sum of each account; shared: the limit that holds.

Four things make a room: its records, its topics, its states, its fold.
"""

from dataclasses import replace as replaced
from decimal import Decimal
from typing import ClassVar

from msgspec.structs import replace

from schemas.codec import Codec
from schemas.control import ClockTick
from schemas.record import Part, Record
from schemas.scalars import Money
from schemas.topics import DEAD_LETTERS, Topic
from streams.runtime.room import Outcome, Room


class Payment(Record, frozen=True):
    """Money for an account, or from it.

    account_id: whose
    payment_id: the same payment twice is one
    amount: positive in, negative out
    """

    source_id: ClassVar[tuple[str, ...]] = ("payment_id",)

    account_id: str
    payment_id: str
    amount: Money


class LimitSet(Record, frozen=True):
    """From here on no sum may exceed this.

    request_id: the same request twice is one
    highest: the largest sum allowed
    """

    source_id: ClassVar[tuple[str, ...]] = ("request_id",)

    request_id: str
    highest: Money


class Summed(Record, frozen=True):
    """A payment has been taken, or refused.

    account_id: whose
    payment_id: which payment
    total: the sum after it
    code: empty where it was taken, else why it was not
    """

    account_id: str
    payment_id: str
    total: Money
    code: str = ""


SUMS_INBOX = Topic(
    name="sums.inbox",
    key="account_id",
    records=(Payment, LimitSet, ClockTick),
    broadcast=frozenset({LimitSet, ClockTick}),
    writers=("payers",),
    readers=("sums",),
)
SUMS_RESULTS = Topic(name="sums.results", key="account_id", records=(Summed,), writers=("sums",), readers=("anyone",))
SUMS_MAP: tuple[Topic, ...] = (SUMS_INBOX, SUMS_RESULTS, replaced(DEAD_LETTERS, writers=("sums", "payers")))


class Account(Part, frozen=True):
    """What is kept of one account."""

    account_id: str
    total: Decimal = Decimal(0)


class Limits(Part, frozen=True):
    """What is kept for all accounts of a partition."""

    highest: Decimal = Decimal(1_000_000)


class SumsRoom(Room[Account, Limits]):
    """Reads sums.inbox. Writes sums.results. Keeps one Account each, and the Limits of all."""

    name: ClassVar[str] = "sums"
    reads: ClassVar[Topic] = SUMS_INBOX
    part_types: ClassVar = {"state": Account}
    shared_type: ClassVar = Limits

    def begin(self, key: str) -> Account:
        return Account(key)

    def begin_shared(self) -> Limits:
        return Limits()

    def fold_shared(self, shared: Limits, record: Record) -> Outcome[Limits]:
        if isinstance(record, LimitSet):
            return Outcome(Limits(record.highest))
        return Outcome(shared)

    def fold(self, state: Account, shared: Limits, record: Record) -> Outcome[Account]:
        if not isinstance(record, Payment):
            return Outcome(state)
        total = state.total + record.amount
        if total > shared.highest:
            return Outcome(state, (summed(record, state.total, "ABOVE_LIMIT"),))
        return Outcome(replace(state, total=total), (summed(record, total),))


def summed(payment: Payment, total: Decimal, code: str = "") -> Summed:
    """What the room says of a payment."""
    return Summed(
        event_time_us=payment.event_time_us,
        account_id=payment.account_id,
        payment_id=payment.payment_id,
        total=total,
        code=code,
    )


def payment(account: str, amount: int | Decimal, payment_id: str, at_us: int = 1) -> Payment:
    """A payment, for tests."""
    return Payment(event_time_us=at_us, account_id=account, payment_id=payment_id, amount=Decimal(amount))


def limit(highest: int, request_id: str = "r1") -> LimitSet:
    """A limit, for tests."""
    return LimitSet(event_time_us=1, request_id=request_id, highest=Decimal(highest))


def sums_codec() -> Codec:
    """A codec for the records of this room, without registry."""
    types = [record for topic in SUMS_MAP for record in topic.records]
    return Codec({record: number for number, record in enumerate(types, start=1)})
