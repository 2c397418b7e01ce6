"""Our words to FIX's, and FIX's to ours. Pure: messages are fields."""

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal

from connectors.brokers.fix.fields import BadMessage, Fields, text_of, time_text
from schemas.execution import ExecutionReport, Liquidity
from schemas.order import ExecType, OrderStatus, OrderType, Side, SubmitOrder, TimeInForce
from schemas.record import Part
from schemas.scalars import ZERO

Pairs = list[tuple[int, str]]

NEW_ORDER = "D"
CANCEL = "F"
REPLACE = "G"
STATUS = "H"
MASS_STATUS = "AF"
POSITIONS = "AN"
POSITIONS_ACK = "AO"
POSITION = "AP"
COLLATERAL = "BB"
COLLATERAL_REPORT = "BA"
EXECUTION = "8"
CANCEL_REJECT = "9"
REJECT = "3"
BUSINESS_REJECT = "j"

UNKNOWN_ORDER = "5"
DUPLICATE_ORDER = "6"
"""Tag 103: why an order was rejected."""

NOT_AUTHORIZED = "3"
"""Tag 728: these are not positions that we may ask for, so the account is not ours."""

SIDES: Mapping[Side, str] = {Side.BUY: "1", Side.SELL: "2", Side.SELL_SHORT: "5"}
TYPES: Mapping[OrderType, str] = {
    OrderType.MARKET: "1",
    OrderType.LIMIT: "2",
    OrderType.STOP: "3",
    OrderType.STOP_LIMIT: "4",
}
TIMES: Mapping[TimeInForce, str] = {
    TimeInForce.DAY: "0",
    TimeInForce.GTC: "1",
    TimeInForce.IOC: "3",
    TimeInForce.FOK: "4",
    TimeInForce.GTD: "6",
}
EXEC_TYPES: Mapping[str, ExecType] = {
    "0": ExecType.NEW,
    "3": ExecType.DONE_FOR_DAY,
    "4": ExecType.CANCELED,
    "5": ExecType.REPLACED,
    "6": ExecType.PENDING_CANCEL,
    "7": ExecType.STOPPED,
    "8": ExecType.REJECTED,
    "9": ExecType.SUSPENDED,
    "A": ExecType.PENDING_NEW,
    "B": ExecType.CALCULATED,
    "C": ExecType.EXPIRED,
    "D": ExecType.RESTATED,
    "E": ExecType.PENDING_REPLACE,
    "F": ExecType.TRADE,
    "G": ExecType.TRADE_CORRECT,
    "H": ExecType.TRADE_CANCEL,
    "I": ExecType.ORDER_STATUS,
}
STATUSES: Mapping[str, OrderStatus] = {
    "0": OrderStatus.NEW,
    "1": OrderStatus.PARTIALLY_FILLED,
    "2": OrderStatus.FILLED,
    "3": OrderStatus.DONE_FOR_DAY,
    "4": OrderStatus.CANCELED,
    "5": OrderStatus.REPLACED,
    "6": OrderStatus.PENDING_CANCEL,
    "7": OrderStatus.STOPPED,
    "8": OrderStatus.REJECTED,
    "9": OrderStatus.SUSPENDED,
    "A": OrderStatus.PENDING_NEW,
    "B": OrderStatus.CALCULATED,
    "C": OrderStatus.EXPIRED,
    "D": OrderStatus.NEW,
    "E": OrderStatus.PENDING_REPLACE,
}
PARTICIPATE = "6"
"""ExecInst: participate, do not initiate. What a replace does not say again no longer holds."""
FILLS = frozenset({ExecType.TRADE, ExecType.TRADE_CORRECT, ExecType.TRADE_CANCEL})
_SIDES_BACK = {text: side for side, text in SIDES.items()} | {"6": Side.SELL_SHORT, "3": Side.BUY, "4": Side.SELL}
_LIQUIDITY = {"1": Liquidity.ADDED, "2": Liquidity.REMOVED}


class Terms(Part, frozen=True):
    """What a cancel or replace must say again about the order that it means.

    client_order_id: its newest name
    order_id: the counterparty's, where told
    """

    client_order_id: str
    account_id: str
    instrument_id: str
    symbol: str
    side: Side
    order_type: OrderType
    time_in_force: TimeInForce
    quantity: Decimal
    limit_price: Decimal | None = None
    stop_price: Decimal | None = None
    order_id: str = ""
    post_only: bool = False


def terms_of(order: SubmitOrder) -> Terms:
    return Terms(
        client_order_id=order.client_order_id,
        account_id=order.account_id,
        instrument_id=order.instrument_id,
        symbol=order.symbol,
        side=order.side,
        order_type=order.order_type,
        time_in_force=order.time_in_force,
        quantity=order.quantity,
        limit_price=order.limit_price,
        stop_price=order.stop_price,
        post_only=order.post_only,
    )


def terms_told(fields: Fields, account_id: str, instrument_id: str) -> Terms:
    """The terms of an order as a status report tells them; a type that is not told is read from the prices."""
    limit_price, stop_price = fields.number(44), fields.number(99)
    guessed = {(False, False): "1", (True, False): "2", (False, True): "3", (True, True): "4"}
    kind = fields.get(40) or guessed[limit_price is not None, stop_price is not None]
    types = {text: order_type for order_type, text in TYPES.items()}
    times = {text: time_in_force for time_in_force, text in TIMES.items()}
    if kind not in types:
        raise BadMessage(f"order type {kind} is not one of ours")
    return Terms(
        client_order_id=fields.need(11),
        account_id=account_id,
        instrument_id=instrument_id,
        symbol=fields.need(55),
        side=side_in(fields),
        order_type=types[kind],
        time_in_force=times.get(fields.get(59), TimeInForce.DAY),
        quantity=fields.amount(38),
        limit_price=limit_price,
        stop_price=stop_price,
        order_id=fields.get(37),
        post_only=PARTICIPATE in fields.get(18).split(),
    )


def new_order(terms: Terms, account: str, now_us: int, expire_at_us: int | None) -> Pairs:
    """Message D."""
    pairs = [(35, NEW_ORDER), (11, terms.client_order_id), (1, account), (55, terms.symbol)]
    pairs += [(54, SIDES[terms.side]), (60, time_text(now_us)), (38, text_of(terms.quantity))]
    pairs += [(40, TYPES[terms.order_type]), (59, TIMES[terms.time_in_force]), *_prices(terms)]
    if expire_at_us is not None:
        pairs.append((126, time_text(expire_at_us)))
    return [*pairs, *_instructions(terms)]


def cancel_order(terms: Terms, request_id: str, account: str, now_us: int) -> Pairs:
    """Message F."""
    pairs = [(35, CANCEL), (41, terms.client_order_id), *_order_id(terms), (11, request_id), (1, account)]
    pairs += [(55, terms.symbol), (54, SIDES[terms.side]), (60, time_text(now_us)), (38, text_of(terms.quantity))]
    return pairs


def replace_order(terms: Terms, original: str, account: str, now_us: int) -> Pairs:
    """Message G; the terms are the new ones, under their new name."""
    pairs = [(35, REPLACE), *_order_id(terms), (41, original), (11, terms.client_order_id), (1, account)]
    pairs += [(55, terms.symbol), (54, SIDES[terms.side]), (60, time_text(now_us)), (38, text_of(terms.quantity))]
    pairs += [(40, TYPES[terms.order_type]), (59, TIMES[terms.time_in_force]), *_prices(terms)]
    return [*pairs, *_instructions(terms)]


def order_status(terms: Terms, account: str, request_id: str) -> Pairs:
    """Message H."""
    pairs = [(35, STATUS), *_order_id(terms), (11, terms.client_order_id), (790, request_id), (1, account)]
    return [*pairs, (55, terms.symbol), (54, SIDES[terms.side])]


def mass_status(account: str, request_id: str) -> Pairs:
    """Message AF: all orders."""
    return [(35, MASS_STATUS), (584, request_id), (585, "7"), (1, account)]


def positions(account: str, request_id: str, now_us: int) -> Pairs:
    """Message AN."""
    today = time_text(now_us)[:8]
    pairs = [(35, POSITIONS), (710, request_id), (724, "0"), (453, "1"), (448, account), (447, "D"), (452, "24")]
    return [*pairs, (1, account), (581, "1"), (715, today), (60, time_text(now_us))]


def collateral(account: str, request_id: str) -> Pairs:
    """Message BB."""
    return [(35, COLLATERAL), (909, request_id), (1, account)]


def _order_id(terms: Terms) -> Pairs:
    return [(37, terms.order_id)] if terms.order_id else []


def _instructions(terms: Terms) -> Pairs:
    return [(18, PARTICIPATE)] if terms.post_only else []


def _prices(terms: Terms) -> Pairs:
    prices = ((44, terms.limit_price), (99, terms.stop_price))
    return [(tag, text_of(price)) for tag, price in prices if price is not None]


def side_in(fields: Fields) -> Side:
    text = fields.need(54)
    if text not in _SIDES_BACK:
        raise BadMessage(f"side {text} is not one of ours")
    return _SIDES_BACK[text]


def exec_id_of(fields: Fields) -> str:
    """The id of what a message tells; empty where it has none of its own and tells a state, not an event.

    A rejection of a cancel or replace has no ExecID in FIX; the request can be rejected once.
    """
    if fields.get(35) == CANCEL_REJECT:
        return f"{fields.need(11)}:REJECTED"
    return "" if fields.get(150) == "I" else fields.need(17)


@dataclass(frozen=True, slots=True)
class Speaker:
    """What a message does not tell: the venue, our ids of account and instrument."""

    venue: str
    account_id: str
    instrument_id: str

    def report(self, fields: Fields, exec_id: str) -> ExecutionReport:
        """An execution report (8), or the rejection of a cancel or replace (9). Raises BadMessage."""
        return self._rejection(fields, exec_id) if fields.get(35) == CANCEL_REJECT else self._execution(fields, exec_id)

    def _execution(self, fields: Fields, exec_id: str) -> ExecutionReport:
        kind, status = fields.need(150), fields.need(39)
        if kind not in EXEC_TYPES or status not in STATUSES:
            raise BadMessage(f"execution type {kind} or order status {status} is not one of FIX 4.4")
        exec_type = EXEC_TYPES[kind]
        last = fields.number(32) if exec_type in FILLS else None
        if exec_type is ExecType.TRADE and (not last or fields.number(31) is None):
            raise BadMessage(f"a trade of order {fields.get(11)} without quantity or price")
        cumulative = fields.amount(14)
        leaves = fields.number(151) or ZERO
        average = fields.average(6)
        quantity = fields.number(38)
        return ExecutionReport(
            event_time_us=fields.time_us(60) or fields.time_us(52),
            account_id=self.account_id,
            exec_id=exec_id,
            client_order_id=fields.need(11),
            original_client_order_id=fields.get(41),
            broker_order_id=fields.get(37),
            venue=self.venue,
            instrument_id=self.instrument_id,
            side=side_in(fields),
            exec_type=exec_type,
            order_status=STATUSES[status],
            order_quantity=cumulative + leaves if quantity is None else quantity,
            cumulative_quantity=cumulative,
            leaves_quantity=leaves,
            last_quantity=last or ZERO,
            last_price=fields.number(31) if last else None,
            average_price=average or None,
            fee=fields.number(12) if exec_type in FILLS else None,
            fee_currency=fields.get(479) or fields.get(15),
            liquidity=_LIQUIDITY.get(fields.get(851)),
            reference_exec_id=fields.get(19),
            code=f"FIX_{fields.get(103)}" if exec_type is ExecType.REJECTED else "",
            text=fields.get(58)[:300],
            limit_price=fields.number(44),
            stop_price=fields.number(99),
        )

    def _rejection(self, fields: Fields, exec_id: str) -> ExecutionReport:
        answers_cancel = fields.need(434) == "1"
        return ExecutionReport(
            event_time_us=fields.time_us(60) or fields.time_us(52),
            account_id=self.account_id,
            exec_id=exec_id,
            client_order_id=fields.need(11),
            original_client_order_id=fields.need(41),
            broker_order_id=fields.get(37),
            venue=self.venue,
            instrument_id=self.instrument_id,
            # A rejection does not tell the side; whoever reads it knows the order.
            side=Side.BUY,
            exec_type=ExecType.CANCEL_REJECTED if answers_cancel else ExecType.REPLACE_REJECTED,
            order_status=STATUSES.get(fields.need(39), OrderStatus.UNKNOWN),
            order_quantity=ZERO,
            cumulative_quantity=ZERO,
            leaves_quantity=ZERO,
            last_quantity=ZERO,
            code=f"FIX_{fields.get(102) or '99'}",
            text=fields.get(58)[:300],
        )


def in_doubt(fields: Fields, venue: str, account_id: str, why: str) -> ExecutionReport:
    """A message that was told and cannot be read: the order is to be asked about."""
    return ExecutionReport(
        event_time_us=0,
        account_id=account_id,
        exec_id=f"{fields.get(17) or fields.get(11)}:UNREADABLE",
        client_order_id=fields.get(11),
        original_client_order_id=fields.get(41),
        broker_order_id=fields.get(37),
        venue=venue,
        instrument_id=fields.get(55),
        side=_SIDES_BACK.get(fields.get(54), Side.BUY),
        exec_type=ExecType.UNKNOWN,
        order_status=OrderStatus.UNKNOWN,
        order_quantity=ZERO,
        cumulative_quantity=ZERO,
        leaves_quantity=ZERO,
        last_quantity=ZERO,
        code="UNREADABLE",
        text=why[:300],
    )
