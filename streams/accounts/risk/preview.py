"""What-if: what every check would say of an order, now and after it. The same function that gates."""

from decimal import Decimal
from typing import NamedTuple

from schemas.risk import CheckOutcome
from streams.accounts.account import Account
from streams.accounts.risk.checks import CHECKS, evaluate
from streams.accounts.risk.view import Proposal, View
from streams.accounts.shared import Shared


class Line(NamedTuple):
    """One check: its bound, the value now (with no order) and after the order, and what it says."""

    check_id: str
    outcome: CheckOutcome
    code: str
    limit: str
    current: str
    after: str
    inputs: str


class Preview(NamedTuple):
    """The verdict as it would be, and what the order would cost and leave. Amounts in the base currency.

    cash: needed at the worst price, fee included; fee: estimated; None where unknown
    position: signed units if it fills
    """

    approved: bool
    code: str
    lines: tuple[Line, ...]
    value: Decimal | None
    fee: Decimal | None
    cash: Decimal | None
    position: Decimal


def preview(account: Account, shared: Shared, proposal: Proposal, now_us: int) -> Preview:
    """Judge an order without sending it. To be called with the room's decimal context (`room.precisely`)."""
    view = View(account, shared, proposal, now_us)
    nothing = proposal._replace(quantity=Decimal(0))
    before = {one.check_id: one.value for one in evaluate(View(account, shared, nothing, now_us))}
    after = {one.check_id: one for one in evaluate(view)}
    lines = tuple(
        Line(name, one.outcome, one.code, one.limit, before[name], one.value, one.inputs)
        for name, one in ((check.check_id, after[check.check_id]) for check in CHECKS)
    )
    denials = [line for line in lines if line.outcome is CheckOutcome.HARD]
    rate = view.rate
    fee = None if view.fee is None or rate is None else view.fee * rate
    cash = None
    if view.unit_cash is not None and rate is not None and fee is not None:
        cash = view.unit_cash * view.quantity * rate + fee
    code = denials[0].code if denials else ""
    return Preview(not denials, code, lines, view.value, fee, cash, view.held + view.signed)
