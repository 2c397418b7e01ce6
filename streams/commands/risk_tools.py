"""`risk preview`: what every check of the gate would say of an order, now and after it, without asking for it."""

from typing import TYPE_CHECKING, Any

import typer

from streams.commands.account_state import state_of
from streams.commands.connections import connect
from streams.commands.groups import group
from streams.commands.limits import limits
from streams.commands.orders import (
    AccountOption,
    ExpireOption,
    ForceOption,
    ForceWord,
    InstrumentArgument,
    LimitOption,
    PostOption,
    QuantityArgument,
    ReduceOption,
    SideArgument,
    StopOption,
    TrailOption,
    TypeOption,
    manual_of,
    terms_of,
)
from streams.commands.outcome import AsJson, Exit, Stop, say, show_json, show_table

if TYPE_CHECKING:
    from streams.accounts.risk.preview import Preview

risk = group("Risk: limits, and what the gate would say.")
COLUMNS = ("check", "outcome", "code", "limit", "current", "after", "inputs")
VALID_S = 60.0


def add_to(app: typer.Typer) -> None:
    """Add the commands of this module."""
    app.add_typer(risk, name="risk")
    risk.command()(limits)


@risk.command()
def preview(
    side: SideArgument,
    quantity: QuantityArgument,
    instrument: InstrumentArgument,
    account: AccountOption,
    limit: LimitOption = None,
    stop: StopOption = None,
    trail: TrailOption = None,
    order_type: TypeOption = None,
    time_in_force: ForceOption = ForceWord.DAY,
    expire_at: ExpireOption = None,
    reduce_only: ReduceOption = False,
    post_only: PostOption = False,
    as_json: AsJson = False,
) -> None:
    """Judge an order without sending it: every check with its limit, now and after. Denied ends with 5."""
    from streams.accounts.manual import proposal_of  # noqa: PLC0415 - help must be quick
    from streams.accounts.risk.preview import preview as judged  # noqa: PLC0415
    from streams.accounts.room import precisely  # noqa: PLC0415
    from streams.commands.settings_of import settings  # noqa: PLC0415

    terms = terms_of(side, quantity, instrument, limit, stop, trail, order_type, time_in_force, expire_at, reduce_only)
    found = connect(settings())
    terms |= {"post_only": post_only, "action": "PLACE"}
    asked = manual_of(found, terms, account, "what if", "preview", "preview", VALID_S)
    state, shared, applied = state_of(found, account)
    proposal = proposal_of(account, asked)
    assert proposal is not None, "the command line asks for side and quantity"
    with precisely():
        result = judged(state, shared, proposal, max(asked.event_time_us, shared.time.now_us))
    source = f"the accounts room's changelog, up to offset {applied} of its inbox"
    if as_json:
        show_json(_as_json(result, source))
    else:
        _show(result, source)
    if not result.approved:
        raise Stop(f"it would be denied: {result.code}", code=Exit.REJECTED_BY_RISK)


def _as_json(result: "Preview", source: str) -> dict[str, Any]:
    from streams.commands.order_tables import shown  # noqa: PLC0415 - help must be quick

    return {
        "approved": result.approved,
        "code": result.code,
        "value": shown(result.value),
        "fee": shown(result.fee),
        "cash": shown(result.cash),
        "position": shown(result.position),
        "state": source,
        "checks": [dict(zip(COLUMNS, line, strict=True)) for line in _rows(result)],
    }


def _show(result: "Preview", source: str) -> None:
    from streams.commands.order_tables import shown  # noqa: PLC0415 - help must be quick

    show_table("", COLUMNS, _rows(result))
    print(f"{'approved' if result.approved else 'denied'} {result.code}")
    amounts = (("value", result.value), ("fee", result.fee), ("cash", result.cash), ("position", result.position))
    for name, amount in amounts:
        print(f"{name} = {'unknown' if amount is None else shown(amount)}")
    say(f"judged by {source}")


def _rows(result: "Preview") -> list[tuple[str, ...]]:
    return [
        (line.check_id, line.outcome, line.code, line.limit, line.current, line.after, line.inputs)
        for line in result.lines
    ]
