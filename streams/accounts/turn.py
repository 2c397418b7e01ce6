"""Turn: one fold in the making. Collects what becomes of the account and what is said, in order."""

from decimal import Decimal
from heapq import nsmallest
from typing import Any

from msgspec.structs import replace

from schemas.order import OrderEvent, OrderStatus, Side
from schemas.position import PositionState
from schemas.record import Record
from schemas.reference import Instrument
from schemas.risk import RiskEvent, RiskEventKind
from schemas.scalars import rounded
from streams.accounts.account import Account, Holding
from streams.accounts.orders.brackets import Bracket
from streams.accounts.orders.order import Order
from streams.accounts.positions.ledger import unrealised
from streams.accounts.risk.recent import kept
from streams.accounts.shared import Shared
from streams.accounts.valuation import ONE, conversion, equity_of, marked, swapped, terms_of

ZERO = Decimal(0)

ENDED_MAX = 256
"""Ended orders remembered; of one ended before them a late report becomes a discrepancy, never a fill."""

DISPUTED_MAX = 4_096
"""As many where discrepancies are open: an order that is forgotten could never be asked about again."""


class Turn:
    """The account as it becomes during one fold, and the outputs so far."""

    __slots__ = ("account", "at_us", "now_us", "outputs", "shared")

    def __init__(self, account: Account, shared: Shared, at_us: int):
        self.account = account
        self.shared = shared
        self.at_us = at_us
        self.now_us = max(at_us, shared.time.now_us)
        self.outputs: list[Record] = []

    def say(self, record: Record) -> None:
        """Add an output."""
        self.outputs.append(record)

    def change(self, **parts: Any) -> None:
        """Replace parts of the account."""
        self.account = replace(self.account, **parts)

    @property
    def base(self) -> str:
        """The account's base currency."""
        return self.account.profile.base_currency

    def instrument(self, instrument_id: str) -> Instrument | None:
        """What is known of an instrument."""
        return self.shared.instruments.get(instrument_id)

    def holding(self, instrument_id: str) -> Holding:
        """The holding, a new one where there is none."""
        return self.account.holdings.get(instrument_id) or Holding(instrument_id=instrument_id)

    def note_intent(self, intent_id: str, valid_until_us: int) -> None:
        """Remember a wish as long as it can come again."""
        flow, until = self.account.flow, max(valid_until_us, self.now_us)
        known = kept(flow.intents, "intents", intent_id, until, self.shared.time.now_us)
        self.account = replace(self.account, flow=replace(flow, intents=known))

    def put_holding(self, holding: Holding, instrument: Instrument) -> Holding:
        """Keep the holding, valued at the newest mark, and move the sums."""
        mark = self.shared.marks.get(holding.instrument_id)
        valued = marked(holding, instrument, None if mark is None else mark.last, 0 if mark is None else mark.at_us)
        account = self.account
        old = account.holdings.get(holding.instrument_id)
        holdings = dict(account.holdings)
        holdings[holding.instrument_id] = valued
        if old is None:
            holdings = dict(sorted(holdings.items()))
        self.account = replace(account, holdings=holdings, totals=swapped(account.totals, old, valued))
        if old is None:
            self.retag()
        return valued

    def put_order(self, order: Order) -> None:
        """Keep the order, and hold or release what its open quantity needs."""
        account = self.account
        name = order.client_order_id
        old = account.orders.get(name) or account.ended.get(name)
        before = ZERO if old is None else old.counted
        after = order.counted
        orders, ended = dict(account.orders), account.ended
        if order.ended:
            orders.pop(name, None)
            ended = {**ended, name: order}
            surplus = len(ended) - (DISPUTED_MAX if account.condition.cases else ENDED_MAX)
            if surplus > 0:
                for old_one in nsmallest(
                    surplus, ended.values(), key=lambda one: (one.updated_us, one.client_order_id)
                ):
                    del ended[old_one.client_order_id]
        else:
            orders[name] = order
            if name in ended:
                ended = {key: one for key, one in ended.items() if key != name}
        self.account = replace(account, orders=orders, ended=ended)
        if after != before or (old is not None and old.unit_reserve != order.unit_reserve):
            self._reserve(old, order, before, after)

    def put_bracket(self, bracket: Bracket) -> None:
        """Keep linked exits."""
        if self.account.brackets.get(bracket.bracket_id) is not bracket:
            self.account = replace(self.account, brackets={**self.account.brackets, bracket.bracket_id: bracket})

    def _reserve(self, old: Order | None, order: Order, before: Decimal, after: Decimal) -> None:
        released = before * old.unit_reserve if old is not None else ZERO
        needed = after * order.unit_reserve
        if needed != released:
            totals = self.account.totals
            reserved = dict(totals.reserved)
            reserved[order.reserve_currency] = reserved.get(order.reserve_currency, ZERO) + needed - released
            self.account = replace(self.account, totals=replace(totals, reserved=reserved))
        instrument = self.instrument(order.instrument_id)
        if instrument is None or after == before:
            return
        holding = self.holding(order.instrument_id)
        if order.side is Side.BUY:
            holding = replace(holding, buys=holding.buys + after - before)
        else:
            holding = replace(holding, sells=holding.sells + after - before)
        self.put_holding(holding, instrument)

    def move_cash(self, currency: str, amount: Decimal) -> None:
        """Add to the cash of one currency."""
        if amount:
            totals = self.account.totals
            cash = dict(totals.cash)
            cash[currency] = rounded(cash.get(currency, ZERO) + amount)
            self.account = replace(self.account, totals=replace(totals, cash=cash))
            if currency != self.base and len(cash) != len(totals.cash):
                self.retag()

    def measure(self) -> Decimal | None:
        """Compute equity and its peak anew."""
        totals = self.account.totals
        equity = equity_of(self.account, self.shared)
        if equity != totals.equity or (equity is not None and equity > totals.peak):
            peak = totals.peak if equity is None or equity <= totals.peak else equity
            self.account = replace(self.account, totals=replace(totals, equity=equity, peak=peak))
        return equity

    def retag(self) -> None:
        """Compute the interests anew."""
        account = self.account
        base = account.profile.base_currency
        currencies = {*account.totals.cash, *account.totals.values, *account.totals.reserved} - {base, ""}
        pairs = self.shared.pairs
        priced = {pairs.get(f"{one}/{base}") or pairs.get(f"{base}/{one}") for one in currencies} - {None}
        names = {*account.profile.watched, *account.holdings, *(str(one) for one in priced)}
        tags = ("*", f"a:{account.profile.account_id}", *sorted(f"i:{name}" for name in names))
        if tags != account.profile.tags:
            self.account = replace(account, profile=replace(account.profile, tags=tags))

    def say_order(
        self, order: Order, trigger: str, before: OrderStatus | None, exec_id: str = "", why: str = ""
    ) -> None:
        """Tell one step of an order's life."""
        self.say(
            OrderEvent(
                event_time_us=self.at_us,
                account_id=self.account.profile.account_id,
                client_order_id=order.client_order_id,
                broker_order_id=order.broker_order_id,
                instrument_id=order.instrument_id,
                side=order.side,
                order_type=order.order_type,
                quantity=order.quantity,
                status=order.status,
                previous_status=before,
                trigger=trigger,
                cumulative_quantity=order.cumulative,
                leaves_quantity=order.leaves,
                average_price=order.average_price,
                limit_price=order.limit_price,
                stop_price=order.stop_price,
                exec_id=exec_id,
                reason=why,
                strategy_id=order.strategy_id,
                provider_id=order.provider_id,
                signal_id=order.signal_id,
                intent_id=order.intent_id,
                reference_price=order.reference_price,
            )
        )

    def say_position(self, holding: Holding, instrument: Instrument) -> None:
        """Tell a position with the mark used."""
        net = holding.net
        mark = holding.mark
        self.say(
            PositionState(
                event_time_us=self.at_us,
                account_id=self.account.profile.account_id,
                instrument_id=holding.instrument_id,
                quantity=net.quantity,
                currency=instrument.settlement_currency,
                realised_pnl=net.realised,
                fees=net.fees,
                average_price=rounded(net.average_price) if net.quantity else None,
                mark=mark,
                unrealised_pnl=None if mark is None else rounded(unrealised(net, terms_of(instrument), mark)),
                notional=None if mark is None else rounded(abs(holding.notional)),
                conversion=_wire(conversion(self.shared, instrument.settlement_currency, self.base)),
                strategy_id=holding.last_strategy,
            )
        )

    def say_risk(self, kind: RiskEventKind, code: str, **fields: Any) -> None:
        """Tell something that risk did on its own."""
        self.say(
            RiskEvent(
                event_time_us=self.at_us, account_id=self.account.profile.account_id, kind=kind, code=code, **fields
            )
        )


def _wire(rate: Decimal | None) -> Decimal | None:
    return rate if rate is None or rate is ONE else rounded(rate)
