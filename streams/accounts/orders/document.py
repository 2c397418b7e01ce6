"""The page on orders, printed from the table of states. `docs/orders.md` is this text."""

from schemas.order import OrderStatus
from streams.accounts.orders.states import COLUMNS, NOTHING_LEAVES, PRECEDENCE, TABLE, Next, Trigger

HEAD = """# Orders

Printed from `streams/accounts/orders/states.py` by `python -m streams.accounts.orders.document > docs/orders.md`; a
test keeps the two the same.

An order has a status where it *rests*, its fills, and the requests to cancel or replace it that are not yet answered.
Of the statuses that hold at once the one of highest precedence shows, as FIX appendix D has it. The order event shows a
request as pending from the moment we send it; the broker's view shows it once it is acknowledged.
"""

READING = """Read a line as: when this happens to an order that shows the status of the column, it rests there from
now on. `NEW` shows as new, partially filled or filled, by its fills. `.` leaves it where it was; `+` moves only an
order that outlives the day; `!` is a contradiction: the fact is kept, a discrepancy is opened and the broker is asked;
`answered` ends a pending request.
"""


LINKED = """## Linked exits

A bracket is an entry with a stop and a target; one-cancels-other is such a pair for a position that is held already.
Brokers differ too much in what they take as one (Alpaca wants whole shares, FIX counterparties a list, most crypto
venues have neither), so every broker gets plain orders that only close, and the accounts room links them:

- An exit lives for what the entry has filled, and never for more than what is held less what other orders are about to
  close. What is closed elsewhere gets no exit again. The stop goes out first, the target once the stop is there.
- What one exit fills is taken off the other by a replace; where the broker refuses to change it, by a cancel and a new
  order. What fails is tried again after 1, 2, 4 ... 60 s.
- Where both filled before either could be taken back, the surplus is told (`EXITS_RACED`) and bought or sold back.
- An exit that the broker refuses (no stop orders there, or the units are held for the other exit) is watched here by a
  guard, and told (`EXIT_HELD`). One that somebody else cancels is told (`EXIT_GONE`) and not sent again.
- Cancelling the entry ends what has not filled; exits of what has filled stay. Cancelling it once more ends the exits.

All of it is state of the account, so a restart goes on where it was.
"""


def page() -> str:
    """The whole page, ending in a newline."""
    names = [status.value for status in COLUMNS.values()]
    lines = [HEAD, "## What moves an order", "", READING]
    lines += ["| trigger | " + " | ".join(name.lower().replace("_", " ") for name in names) + " |"]
    lines += ["|---" * (len(names) + 1) + "|"]
    for trigger in Trigger:
        cells = (_cell(TABLE[status][trigger]) for status in COLUMNS.values())
        lines.append(f"| {trigger.value} | " + " | ".join(cells) + " |")
    lines += ["", "## Which status shows", "", "| status | precedence | leaves quantity |", "|---|---|---|"]
    for status in sorted(PRECEDENCE, key=lambda one: (-PRECEDENCE[one], one.value)):
        lines.append(f"| {status.value} | {PRECEDENCE[status]} | {_leaves(status)} |")
    return "\n".join([*lines, "", LINKED])


def _cell(cell: Next) -> str:
    words = "answered" if cell.answers else ("." if cell.resting is None else cell.resting.value)
    return words + ("+" if cell.only_beyond_day else "") + ("!" if cell.contradicts else "")


def _leaves(status: OrderStatus) -> str:
    if status in NOTHING_LEAVES:
        return "0"
    if status in (OrderStatus.DONE_FOR_DAY, OrderStatus.CALCULATED):
        return "0 for an order of the day, else quantity less cumulative"
    return "quantity less cumulative"


if __name__ == "__main__":
    print(page(), end="")
