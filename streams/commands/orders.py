"""`order`: place, cancel and replace by hand (risk still decides), list, and the whole story of one."""

import time
from collections.abc import Iterator, Sequence
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any

import typer

from streams.commands.connections import (
    AuthorOption,
    Connection,
    RequestOption,
    author_of,
    checked,
    connect,
    now_of,
    request_of,
)
from streams.commands.groups import group
from streams.commands.order_measures import LATENCIES, SLIPPAGE
from streams.commands.order_story import STEPS, story
from streams.commands.order_tables import SHOWN, listed, shown
from streams.commands.outcome import AsJson, Exit, Stop, say, show_json, show_table

if TYPE_CHECKING:
    from schemas.intent import ManualOrder
    from schemas.order import OrderEvent
    from schemas.record import Record
    from schemas.risk import CheckResult, RiskEvent, RiskVerdict
    from streams.runtime.reader import Reader

order = group("Orders: place, cancel and replace by hand, list, tell the story of one.")


class SideWord(StrEnum):
    BUY = "buy"
    SELL = "sell"


class TypeWord(StrEnum):
    MARKET = "market"
    LIMIT = "limit"
    STOP = "stop"
    STOP_LIMIT = "stop-limit"
    TRAILING_STOP = "trailing-stop"


class ForceWord(StrEnum):
    DAY = "day"
    GTC = "gtc"
    IOC = "ioc"
    FOK = "fok"
    GTD = "gtd"


SideArgument = Annotated[SideWord, typer.Argument(help="buy or sell.")]
QuantityArgument = Annotated[str, typer.Argument(help="Units.")]
InstrumentArgument = Annotated[str, typer.Argument(help="Our id of the instrument.")]
IdArgument = Annotated[str, typer.Argument(metavar="ID", help="The order's client_order_id.")]
AccountOption = Annotated[str, typer.Option("--account", help="Who trades.")]
LimitOption = Annotated[str | None, typer.Option("--limit", help="Limit price.")]
StopOption = Annotated[str | None, typer.Option("--stop", help="Stop price.")]
TrailOption = Annotated[str | None, typer.Option("--trail", help="Distance of a trailing stop, in price.")]
TypeOption = Annotated[
    TypeWord | None, typer.Option("--type", help="How to execute.  [default: what the prices given mean]")
]
ForceOption = Annotated[ForceWord, typer.Option("--time-in-force", help="How long it works.")]
ExpireOption = Annotated[str | None, typer.Option("--expire-at", help="For gtd: ISO time with a zone.")]
ReduceOption = Annotated[bool, typer.Option("--reduce-only", help="May only shrink the position.")]
PostOption = Annotated[bool, typer.Option("--post-only", help="Must not take liquidity; a limit order.")]
ProfitOption = Annotated[str | None, typer.Option("--take-profit", help="Exit with a limit order at this price.")]
LossOption = Annotated[str | None, typer.Option("--stop-loss", help="Exit with a stop order at this price.")]
PairOption = Annotated[
    bool, typer.Option("--oco", help="No entry: the two exits alone, for what is held; side and quantity are theirs.")
]
ReasonOption = Annotated[str, typer.Option("--reason", help="Why.")]
ValidOption = Annotated[float, typer.Option("--valid-for", min=0, help="Seconds after which it must not go out.")]
WaitOption = Annotated[float, typer.Option("--wait", min=0, help="Seconds to wait for the answer.")]

FIRST_WORD_S = 1.0
CHECK_COLUMNS = ("check", "outcome", "code", "value", "limit", "inputs")


def add_to(app: typer.Typer) -> None:
    """Add the commands of this module."""
    app.add_typer(order, name="order")


@order.command()
def place(
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
    take_profit: ProfitOption = None,
    stop_loss: LossOption = None,
    oco: PairOption = False,
    reason: ReasonOption = "",
    author: AuthorOption = None,
    request_id: RequestOption = None,
    valid_for: ValidOption = 60.0,
    wait: WaitOption = 10.0,
    as_json: AsJson = False,
) -> None:
    """Ask for an order. Every check of the gate applies; denied ends with 5 and the table of checks.

    With --take-profit and --stop-loss what it fills gets two exits, each of which takes back the other as it fills.
    """
    if oco and (take_profit is None or stop_loss is None):
        raise Stop("a pair of exits needs two prices", next_step="give --take-profit and --stop-loss", code=Exit.USAGE)
    terms = terms_of(side, quantity, instrument, limit, stop, trail, order_type, time_in_force, expire_at, reduce_only)
    more = {"take_profit_price": take_profit, "stop_loss_price": stop_loss, "oco": oco, "post_only": post_only}
    _ask({**terms, **more, "action": "PLACE"}, account, reason, author, request_id, valid_for, wait, as_json)


@order.command()
def cancel(
    client_order_id: IdArgument,
    account: AccountOption,
    reason: ReasonOption = "",
    author: AuthorOption = None,
    request_id: RequestOption = None,
    wait: WaitOption = 10.0,
    as_json: AsJson = False,
) -> None:
    """Ask to cancel a working order."""
    terms = {"client_order_id": client_order_id, "action": "CANCEL"}
    _ask(terms, account, reason, author, request_id, 60.0, wait, as_json)


@order.command()
def replace(
    client_order_id: IdArgument,
    account: AccountOption,
    quantity: Annotated[str | None, typer.Option(help="New total quantity.")] = None,
    limit: LimitOption = None,
    stop: StopOption = None,
    reason: ReasonOption = "",
    author: AuthorOption = None,
    request_id: RequestOption = None,
    valid_for: ValidOption = 60.0,
    wait: WaitOption = 10.0,
    as_json: AsJson = False,
) -> None:
    """Ask to change quantity or price of a working order; it is judged like a new one with the old one gone."""
    if quantity is None and limit is None and stop is None:
        raise Stop("nothing is to be changed", next_step="give --quantity, --limit or --stop", code=Exit.USAGE)
    terms = {
        "client_order_id": client_order_id,
        "action": "REPLACE",
        "quantity": quantity,
        "limit_price": limit,
        "stop_price": stop,
    }
    _ask(terms, account, reason, author, request_id, valid_for, wait, as_json)


@order.command("list")
def list_orders(
    account: Annotated[str, typer.Option(help="Of one account only.")] = "",
    instrument: Annotated[str, typer.Option(help="In one instrument only.")] = "",
    status: Annotated[str, typer.Option(help="In one status only, such as NEW or FILLED.")] = "",
    working: Annotated[bool, typer.Option("--working", help="Only those that may still trade.")] = False,
    limit: Annotated[int, typer.Option(min=1, help="At most so many, those that moved last first.")] = 100,
    as_json: AsJson = False,
) -> None:
    """Orders as they stand, those that moved last first; from ClickHouse, or from the topics where it is away."""
    from streams.commands.settings_of import settings  # noqa: PLC0415 - help must be quick

    rows = listed(settings(), account, instrument, status.upper(), working, limit)
    if as_json:
        show_json(rows)
    else:
        show_table("", SHOWN, [[row[name] for name in SHOWN] for row in rows])


@order.command()
def show(client_order_id: IdArgument, as_json: AsJson = False) -> None:
    """All that is known of one order: signal, wish, checks, command, the broker's words, states, fills; how long each
    stage took, and what the fills cost against the prices of decision and arrival (positive is worse).
    """
    from streams.commands.settings_of import settings  # noqa: PLC0415 - help must be quick

    found = story(settings(), client_order_id)
    if found is None:
        raise Stop(
            f"there is no order {client_order_id}",
            why="neither a verdict nor a command nor a report names it",
            next_step="look at `quantumleap order list`",
            code=Exit.NOT_FOUND,
        )
    if as_json:
        show_json({"client_order_id": client_order_id, **found.as_json()})
        return
    told = found.as_json()
    show_table(client_order_id, STEPS, _cells(STEPS, told["steps"]))
    show_table("latencies", LATENCIES, _cells(LATENCIES, told["latencies"]))
    if told["slippage"]:
        show_table("slippage", SLIPPAGE, _cells(SLIPPAGE, [*told["slippage"]["fills"], told["slippage"]["order"]]))


def _cells(columns: Sequence[str], rows: list[dict[str, Any]]) -> list[list[Any]]:
    return [[row[name] for name in columns] for row in rows]


def terms_of(
    side: SideWord,
    quantity: str,
    instrument: str,
    limit: str | None,
    stop: str | None,
    trail: str | None,
    order_type: TypeWord | None,
    time_in_force: ForceWord,
    expire_at: str | None,
    reduce_only: bool,
) -> dict[str, Any]:
    """What a person typed as fields of a ManualOrder; the edge checks them."""
    meant = {
        (False, False): TypeWord.MARKET,
        (True, False): TypeWord.LIMIT,
        (False, True): TypeWord.STOP,
        (True, True): TypeWord.STOP_LIMIT,
    }[limit is not None, stop is not None]
    word = order_type or (TypeWord.TRAILING_STOP if trail is not None else meant)
    return {
        "side": side.upper(),
        "quantity": quantity,
        "instrument_id": instrument,
        "limit_price": limit,
        "stop_price": stop,
        "trail_offset": trail,
        "order_type": word.upper().replace("-", "_"),
        "time_in_force": time_in_force.upper(),
        "expire_at_us": expire_at,
        "reduce_only": reduce_only,
    }


def manual_of(
    found: Connection, terms: dict[str, Any], account: str, reason: str, author: str, request_id: str, valid_s: float
) -> "ManualOrder":
    """The request as a record, its time that of the environment. Raises Stop with every field that is wrong."""
    from schemas.intent import ManualOrder  # noqa: PLC0415 - help must be quick
    from schemas.scalars import SECOND_US  # noqa: PLC0415

    now_us = now_of(found, found.settings.mode)
    return checked(
        ManualOrder,
        {
            **terms,
            "event_time_us": now_us,
            "request_id": request_id,
            "account_id": account,
            "author": author,
            "reason": reason,
            "valid_until_us": now_us + int(valid_s * SECOND_US),
        },
    )


def _ask(
    terms: dict[str, Any],
    account: str,
    reason: str,
    author: str | None,
    request_id: str | None,
    valid_s: float,
    wait_s: float,
    as_json: bool,
) -> None:
    """Write the request, wait for what becomes of it, and tell."""
    from schemas.topics import ACCOUNTS_EVENTS  # noqa: PLC0415 - help must be quick
    from streams.commands.settings_of import settings  # noqa: PLC0415
    from streams.runtime.reader import Reader, Start  # noqa: PLC0415
    from streams.runtime.source import Source  # noqa: PLC0415

    found = connect(settings())
    asked = manual_of(found, terms, account, reason, author_of(author), request_of(request_id), valid_s)
    # A request asked before was answered before.
    start = Start.BEGINNING if request_id else Start.END
    reader = Reader(found.cluster, found.codec, ACCOUNTS_EVENTS, found.environment, start)
    source = Source(found.cluster, found.codec, found.environment, "control")
    try:
        say(f"asking: request {asked.request_id}")
        source.write(asked)
        source.flush()
        answer = _Answer(asked)
        answer.wait(reader, wait_s)
    finally:
        source.close()
        reader.close()
    _tell(asked, answer, wait_s, as_json)


class _Answer:
    """What the accounts room said of one request."""

    def __init__(self, asked: "ManualOrder"):
        self.asked = asked
        self.verdict: RiskVerdict | None = None
        self.refusal: RiskEvent | None = None
        self.event: OrderEvent | None = None

    def wait(self, reader: "Reader", seconds: float) -> None:
        """Listen until all is said that can be expected, or the time is up.

        Once the order is out, the outside gets a moment for its first word.
        """
        until = time.monotonic() + seconds
        while not self.complete and time.monotonic() < until:
            was_out = self.event is not None
            for received in reader.poll(0.1):
                if received.record is not None:
                    self._take(received.record)
            if self.event is not None and not was_out:
                until = min(until, time.monotonic() + FIRST_WORD_S)

    @property
    def complete(self) -> bool:
        """Whether it is refused, or what was asked for went out and somebody outside has answered."""
        if self.refusal is not None or (self.verdict is not None and not self.verdict.approved):
            return True
        return self.event is not None and self.event.status not in ("PENDING_NEW", "PENDING_CANCEL", "PENDING_REPLACE")

    def _take(self, record: "Record") -> None:
        from schemas.order import OrderEvent  # noqa: PLC0415 - help must be quick
        from schemas.risk import RiskEvent, RiskVerdict  # noqa: PLC0415

        asked = self.asked
        match record:
            case RiskVerdict(account_id=asked.account_id, intent_id=asked.request_id):
                self.verdict = record
            case RiskEvent(account_id=asked.account_id, kind="INPUT_REFUSED", value=asked.request_id):
                self.refusal = record
            case OrderEvent(account_id=asked.account_id, client_order_id=asked.client_order_id):
                self.event = record
            case OrderEvent(account_id=asked.account_id, intent_id=asked.request_id):
                self.event = record


def _tell(asked: "ManualOrder", answer: _Answer, wait_s: float, as_json: bool) -> None:
    verdict, refusal, event = answer.verdict, answer.refusal, answer.event
    if as_json:
        show_json(_as_json(asked, answer))
    elif verdict is not None and not verdict.approved:
        show_table("", CHECK_COLUMNS, check_rows(verdict.checks))
    elif event is not None:
        print(f"{event.client_order_id} {event.status} {shown(event.cumulative_quantity)}/{shown(event.quantity)}")
    if refusal is not None:
        code = Exit.NOT_FOUND if refusal.code == "ORDER_UNKNOWN" else Exit.REJECTED_BY_RISK
        raise Stop(f"the account refuses: {refusal.code}", next_step="look at `quantumleap order list`", code=code)
    if verdict is not None and not verdict.approved:
        raise Stop(
            f"denied: {verdict.code}",
            why=", ".join(check.code for check in verdict.checks if check.outcome == "HARD"),
            next_step="`quantumleap risk preview` shows every check before asking",
            code=Exit.REJECTED_BY_RISK,
        )
    if event is not None and event.status in ("DENIED", "REJECTED"):
        raise Stop(f"the order ended {event.status}", why=event.reason, code=Exit.REJECTED_BY_RISK)
    if event is None:
        raise Stop(
            f"nobody answered within {wait_s:g} s",
            why="the request is in the log, and is judged once a worker with the accounts room is up, if still valid",
            next_step=f"ask again with --request-id {asked.request_id}: the same request is carried out once",
            code=Exit.DEGRADED,
        )


def _as_json(asked: "ManualOrder", answer: _Answer) -> dict[str, Any]:
    verdict, refusal, event = answer.verdict, answer.refusal, answer.event
    return {
        "request_id": asked.request_id,
        "action": asked.action,
        "account_id": asked.account_id,
        "client_order_id": event.client_order_id if event else verdict.client_order_id if verdict else "",
        "approved": None if verdict is None else verdict.approved,
        "code": refusal.code if refusal else verdict.code if verdict else "",
        "status": None if event is None else event.status,
        "filled_quantity": None if event is None else shown(event.cumulative_quantity),
        "checks": [dict(zip(CHECK_COLUMNS, row, strict=True)) for row in check_rows(verdict.checks)] if verdict else [],
    }


def check_rows(checks: "list[CheckResult]") -> Iterator[tuple[str, ...]]:
    """The results of checks as rows of a table."""
    for check in checks:
        yield check.check_id, check.outcome, check.code, check.value, check.limit, check.inputs
