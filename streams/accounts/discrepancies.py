"""Discrepancies: two sides that should agree and do not, visible with an age until a rule or a person settles them."""

from msgspec.structs import replace

from schemas.ids import short_id
from schemas.risk import Discrepancy, DiscrepancyKind
from streams.accounts.account import Case
from streams.accounts.orders.order import Order
from streams.accounts.turn import Turn

ABOUT_ORDERS = (DiscrepancyKind.ORDER, DiscrepancyKind.FILL)
"""Kinds whose subject is an order, and which the broker's answer about that order may settle."""


def case_id(turn: Turn, kind: DiscrepancyKind, subject: str) -> str:
    """The id of a discrepancy: a pure function of kind and subject."""
    return short_id(turn.account.profile.account_id, kind, subject)


def open_case(
    turn: Turn, kind: DiscrepancyKind, subject: str, *, ours: str, theirs: str, instrument_id: str = "",
    currency: str = "", reason: str = "",
) -> None:  # fmt: skip
    """Open a discrepancy, or tell anew one whose sides changed. The same again says nothing and keeps its age."""
    condition = turn.account.condition
    name = case_id(turn, kind, subject)
    known = condition.cases.get(name)
    if known is not None and (known.ours, known.theirs) == (ours, theirs):
        return
    since_us = turn.at_us if known is None else known.since_us
    case = Case(kind=kind, instrument_id=instrument_id, currency=currency, ours=ours, theirs=theirs, since_us=since_us)
    turn.change(condition=replace(condition, cases={**condition.cases, name: case}))
    _say(turn, name, case, True, "", reason)


def disputed(turn: Turn) -> list[Order]:
    """Remembered orders with an open discrepancy that the broker's answer may settle, in the order of their ids."""
    account = turn.account
    cases = account.condition.cases
    if not any(case.kind in ABOUT_ORDERS for case in cases.values()):
        return []
    known = {**account.ended, **account.orders}
    return [known[name] for name in sorted(known) if any(case_id(turn, kind, name) in cases for kind in ABOUT_ORDERS)]


def close_case(turn: Turn, name: str, author: str, reason: str) -> None:
    """Settle a discrepancy; one that is not open changes nothing."""
    condition = turn.account.condition
    case = condition.cases.get(name)
    if case is None:
        return
    cases = {key: one for key, one in condition.cases.items() if key != name}
    turn.change(condition=replace(condition, cases=cases))
    _say(turn, name, case, False, author, reason)


def _say(turn: Turn, name: str, case: Case, is_open: bool, author: str, reason: str) -> None:
    turn.say(
        Discrepancy(
            event_time_us=turn.at_us,
            account_id=turn.account.profile.account_id,
            discrepancy_id=name,
            kind=case.kind,
            ours=case.ours,
            theirs=case.theirs,
            since_us=case.since_us,
            open=is_open,
            instrument_id=case.instrument_id,
            author=author,
            reason=reason,
        )
    )
