"""The law of orders: one table of (status, trigger) to what comes next, and which status shows when several hold.

An order has three kinds of facts: where it *rests* (acknowledged, canceled, suspended ...), its fills, and the requests
to cancel or replace it that are not yet answered. The status that shows is the one of highest precedence among them, as
FIX has it; so a late fill after a cancel, or a bust after a fill, needs no rule of its own. The table moves the resting
status, and says of pending requests whether a trigger answers them.
"""

from enum import StrEnum
from typing import NamedTuple

from schemas.order import ExecType, OrderStatus, TimeInForce


class Trigger(StrEnum):
    """What can happen to an order: FIX execution types, our own requests, and what execution did not send."""

    PENDING_NEW = "PENDING_NEW"
    NEW = "NEW"
    TRADE = "TRADE"
    TRADE_CANCEL = "TRADE_CANCEL"
    TRADE_CORRECT = "TRADE_CORRECT"
    PENDING_CANCEL = "PENDING_CANCEL"
    CANCELED = "CANCELED"
    CANCEL_REJECTED = "CANCEL_REJECTED"
    PENDING_REPLACE = "PENDING_REPLACE"
    REPLACED = "REPLACED"
    REPLACE_REJECTED = "REPLACE_REJECTED"
    REJECTED = "REJECTED"
    EXPIRED = "EXPIRED"
    SUSPENDED = "SUSPENDED"
    STOPPED = "STOPPED"
    DONE_FOR_DAY = "DONE_FOR_DAY"
    CALCULATED = "CALCULATED"
    RESTATED = "RESTATED"
    UNKNOWN = "UNKNOWN"
    NOT_SENT = "NOT_SENT"
    NOT_FOUND = "NOT_FOUND"
    REQUEST_NOT_SENT = "REQUEST_NOT_SENT"
    CANCEL_SENT = "CANCEL_SENT"
    REPLACE_SENT = "REPLACE_SENT"


class Next(NamedTuple):
    """One cell of the table.

    resting: where the order rests from now on; None leaves it
    only_beyond_day: moves only an order that outlives the day
    answers: a pending request of this kind is answered
    contradicts: what the broker says cannot follow from what it said before; ask it
    """

    resting: OrderStatus | None = None
    only_beyond_day: bool = False
    answers: bool = False
    contradicts: bool = False


COLUMNS: dict[str, OrderStatus] = {
    "pnew": OrderStatus.PENDING_NEW,
    "new": OrderStatus.NEW,
    "part": OrderStatus.PARTIALLY_FILLED,
    "fill": OrderStatus.FILLED,
    "canc": OrderStatus.CANCELED,
    "rej": OrderStatus.REJECTED,
    "exp": OrderStatus.EXPIRED,
    "susp": OrderStatus.SUSPENDED,
    "stop": OrderStatus.STOPPED,
    "done": OrderStatus.DONE_FOR_DAY,
    "calc": OrderStatus.CALCULATED,
    "deny": OrderStatus.DENIED,
    "unkn": OrderStatus.UNKNOWN,
    "repl": OrderStatus.REPLACED,
    "pcan": OrderStatus.PENDING_CANCEL,
    "prep": OrderStatus.PENDING_REPLACE,
}

MATRIX = """
trigger           pnew  new   part  fill  canc  rej   exp   susp  stop  done  calc  deny   unkn  repl  pcan  prep
PENDING_NEW       .     .     .     .     .     .     .     .     .     .     .     pnew!  pnew  .     .     .
NEW               new   .     .     .     .     .     .     new   .     new+  new+  new!   new   .     .     .
TRADE             new   .     .     .     .     new!  .     .     .     .     .     new!   new   .     .     .
TRADE_CANCEL      new   .     .     .     .     !     .     .     .     .     .     !      new   .     .     .
TRADE_CORRECT     new   .     .     .     .     new!  .     .     .     .     .     new!   new   .     .     .
PENDING_CANCEL    .     .     .     .     .     .     .     .     .     .     .     !      new   .     .     .
CANCELED          canc  canc  canc  .     .     .     .     canc  canc  canc  canc  !      canc  canc  ans   ans
CANCEL_REJECTED   .     .     .     .     .     .     .     .     .     .     .     .      .     .     ans   .
PENDING_REPLACE   .     .     .     .     .     .     .     .     .     .     .     !      new   .     .     .
REPLACED          new   .     .     .     !     !     !     .     .     .     .     new!   new   .     .     ans
REPLACE_REJECTED  .     .     .     .     .     .     .     .     .     .     .     .      .     .     .     ans
REJECTED          rej   rej   !     !     .     .     .     rej   rej   !     !     .      rej   rej   ans   ans
EXPIRED           exp   exp   exp   .     .     .     .     exp   exp   exp   exp   !      exp   exp   ans   ans
SUSPENDED         susp  susp  susp  .     !     !     !     .     .     .     .     susp!  susp  susp  .     .
STOPPED           stop  stop  stop  .     !     !     !     stop  .     .     .     stop!  stop  stop  .     .
DONE_FOR_DAY      done  done  done  done  .     .     .     done  done  .     .     !      done  done  .     .
CALCULATED        calc  calc  calc  calc  .     .     .     calc  calc  calc  .     !      calc  calc  .     .
RESTATED          new   .     .     .     !     !     !     new   .     new   new   new!   new   .     .     .
UNKNOWN           unkn  .     .     .     .     .     .     .     .     .     .     !      .     .     .     .
NOT_SENT          deny  !     !     !     .     .     .     !     !     !     !     .      deny  !     .     .
NOT_FOUND         deny  !     !     !     .     .     .     !     !     !     !     .      deny  !     .     .
REQUEST_NOT_SENT  .     .     .     .     .     .     .     .     .     .     .     .      .     .     ans   ans
CANCEL_SENT       .     .     .     .     .     .     .     .     .     .     .     .      .     .     .     .
REPLACE_SENT      .     .     .     .     .     .     .     .     .     .     .     .      .     .     .     .
"""
"""Read a line as: when this happens to an order that shows that status. `.` it rests where it was; a status: it rests
there (`new` shows as new, partially filled or filled, by its fills); `new+` only where it outlives the day; `!` what
the broker says contradicts what it said before: the fact is kept and the broker is asked; `ans` a pending request is
answered."""


def _cell(text: str) -> Next:
    contradicts = text.endswith("!")
    word = text.rstrip("!+")
    if word in ("", "."):
        return Next(contradicts=contradicts)
    if word == "ans":
        return Next(answers=True)
    return Next(COLUMNS[word], only_beyond_day=text.endswith("+"), contradicts=contradicts)


def _parse(matrix: str) -> dict[OrderStatus, dict[Trigger, Next]]:
    head, *lines = matrix.strip().splitlines()
    columns = head.split()[1:]
    table: dict[OrderStatus, dict[Trigger, Next]] = {COLUMNS[column]: {} for column in columns}
    for line in lines:
        name, *cells = line.split()
        for column, text in zip(columns, cells, strict=True):
            table[COLUMNS[column]][Trigger(name)] = _cell(text)
    return table


TABLE = _parse(MATRIX)

PRECEDENCE: dict[OrderStatus, int] = {
    OrderStatus.PENDING_CANCEL: 12,
    OrderStatus.PENDING_REPLACE: 11,
    OrderStatus.DONE_FOR_DAY: 10,
    OrderStatus.CALCULATED: 9,
    OrderStatus.FILLED: 8,
    OrderStatus.STOPPED: 7,
    OrderStatus.SUSPENDED: 6,
    OrderStatus.CANCELED: 5,
    OrderStatus.EXPIRED: 5,
    OrderStatus.PARTIALLY_FILLED: 4,
    OrderStatus.REPLACED: 3,
    OrderStatus.NEW: 2,
    OrderStatus.REJECTED: 2,
    OrderStatus.PENDING_NEW: 2,
    OrderStatus.DENIED: 2,
    OrderStatus.UNKNOWN: 2,
}
"""FIX appendix D: of the statuses that hold at once, the highest shows."""

DEAD = frozenset({OrderStatus.CANCELED, OrderStatus.REJECTED, OrderStatus.EXPIRED, OrderStatus.DENIED})
"""Where an order rests that cannot trade any more, whatever its fills."""

NOTHING_LEAVES = DEAD | {OrderStatus.SUSPENDED}
"""Where an order rests whose leaves quantity is zero by FIX."""

ENDED_FOR_DAY = frozenset({OrderStatus.DONE_FOR_DAY, OrderStatus.CALCULATED})

BEYOND_DAY = frozenset({TimeInForce.GTC, TimeInForce.GTD})

OF_EXEC_TYPE: dict[ExecType, Trigger] = {
    exec_type: Trigger(exec_type.value) for exec_type in ExecType if exec_type is not ExecType.ORDER_STATUS
}
"""A report's trigger; an answer to a query is read by its status instead (`OF_STATUS`)."""

OF_STATUS: dict[OrderStatus, Trigger] = {
    OrderStatus.PENDING_NEW: Trigger.PENDING_NEW,
    OrderStatus.NEW: Trigger.NEW,
    OrderStatus.PARTIALLY_FILLED: Trigger.NEW,
    OrderStatus.FILLED: Trigger.NEW,
    OrderStatus.REPLACED: Trigger.NEW,
    OrderStatus.PENDING_CANCEL: Trigger.PENDING_CANCEL,
    OrderStatus.PENDING_REPLACE: Trigger.PENDING_REPLACE,
    OrderStatus.CANCELED: Trigger.CANCELED,
    OrderStatus.REJECTED: Trigger.REJECTED,
    OrderStatus.DENIED: Trigger.REJECTED,
    OrderStatus.EXPIRED: Trigger.EXPIRED,
    OrderStatus.SUSPENDED: Trigger.SUSPENDED,
    OrderStatus.STOPPED: Trigger.STOPPED,
    OrderStatus.DONE_FOR_DAY: Trigger.DONE_FOR_DAY,
    OrderStatus.CALCULATED: Trigger.CALCULATED,
    OrderStatus.UNKNOWN: Trigger.UNKNOWN,
}
"""What an answer to a query means: the broker's status as if it had just been reported."""
