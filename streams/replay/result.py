"""What came out of a replay: counts, money, and a hash by which two runs are compared."""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from decimal import Decimal
from hashlib import blake2b
from typing import Any

import msgspec
from msgspec.structs import astuple

from schemas.execution import Fill
from schemas.market import Bar, QualityFinding
from schemas.order import OrderEvent, OrderStatus, SubmitOrder
from schemas.position import PerformanceSnapshot, PnlDimension, PnlSnapshot
from schemas.record import Record
from schemas.risk import RiskVerdict
from schemas.scalars import ZERO, rounded
from schemas.signal import AcceptedSignal, RefusedSignal
from schemas.topics import (
    ACCOUNTS_EVENTS,
    FILLS,
    MARKET_BARS,
    MARKET_QUALITY,
    ORDERS_COMMANDS,
    PNL,
    SIGNALS_REFUSED,
    STRATEGIES_INBOX,
    Topic,
)

WATCHED: tuple[Topic, ...] = (
    MARKET_BARS,
    MARKET_QUALITY,
    SIGNALS_REFUSED,
    STRATEGIES_INBOX,
    ORDERS_COMMANDS,
    ACCOUNTS_EVENTS,
    FILLS,
    PNL,
)
"""Topics that a result is made of."""

HASHED: dict[str, tuple[type[Record], ...]] = {
    ORDERS_COMMANDS.name: (SubmitOrder,),
    ACCOUNTS_EVENTS.name: (OrderEvent,),
    FILLS.name: (Fill,),
    PNL.name: (PnlSnapshot,),
}
"""What the result hash covers: the sequences of orders, fills and P&L of each account."""

_encoder = msgspec.msgpack.Encoder(decimal_format="string", order="deterministic")


def _canonical(record: Record) -> bytes:
    """The record as bytes that do not depend on how a Decimal was written: 1.0 and 1.00 are one value."""
    return _encoder.encode([type(record).__name__, *_plain(astuple(record))])


def _plain(values: Iterable[Any]) -> list[Any]:
    return [value if (plain := _PLAIN[type(value)]) is None else plain(value) for value in values]


def _text(amount: Decimal) -> str:
    """The amount without exponent and without zeros at its end."""
    words = str(amount)
    if "E" in words or not amount:
        return format(amount.normalize(), "f") if amount else "0"
    return words.rstrip("0").rstrip(".") if "." in words else words


class _Plain(dict[type, Callable[[Any], Any] | None]):
    """How a value of each type is made plain; None for those that are."""

    def __missing__(self, kind: type) -> Callable[[Any], Any] | None:
        self[kind] = (lambda part: _plain(astuple(part))) if issubclass(kind, msgspec.Struct) else None
        return self[kind]


_PLAIN = _Plain({Decimal: _text, list: _plain, tuple: _plain})


@dataclass(slots=True)
class Result:
    """Folds the records of the watched topics, each topic in its own order, into what `run` and `backtest` print."""

    bars: int = 0
    accepted: int = 0
    refused: Counter[str] = field(default_factory=Counter)
    orders: int = 0
    denied: Counter[str] = field(default_factory=Counter)
    rejected: int = 0
    fills: int = 0
    findings: Counter[str] = field(default_factory=Counter)
    accounts: dict[str, PnlSnapshot] = field(default_factory=dict)
    members: dict[tuple[str, PnlDimension, str], PnlSnapshot] = field(default_factory=dict)
    performance: dict[str, PerformanceSnapshot] = field(default_factory=dict)
    last_time_us: int = 0
    _hashes: dict[tuple[str, str], Any] = field(default_factory=lambda: defaultdict(blake2b))

    def take(self, topic: Topic, record: Record) -> None:
        """Fold one record of one of the watched topics."""
        kind = type(record)
        if kind in HASHED.get(topic.name, ()):
            self._hashes[(str(topic.key_of(record)), topic.name)].update(_canonical(record))
        take = _TAKES.get(kind)
        if take is not None:
            take(self, topic, record)

    def _take_bar(self, topic: Topic, bar: Bar) -> None:
        if topic is MARKET_BARS:
            self.bars += 1
            self.last_time_us = max(self.last_time_us, bar.event_time_us)

    def _take_accepted(self, topic: Topic, signal: AcceptedSignal) -> None:
        self.accepted += 1

    def _take_refused(self, topic: Topic, signal: RefusedSignal) -> None:
        self.refused[signal.code] += 1

    def _take_finding(self, topic: Topic, finding: QualityFinding) -> None:
        self.findings[finding.code] += 1

    def _take_submitted(self, topic: Topic, order: SubmitOrder) -> None:
        self.orders += 1

    def _take_verdict(self, topic: Topic, verdict: RiskVerdict) -> None:
        if not verdict.approved:
            self.denied[verdict.code] += 1

    def _take_order(self, topic: Topic, event: OrderEvent) -> None:
        if event.status == OrderStatus.REJECTED and event.previous_status != event.status:
            self.rejected += 1

    def _take_fill(self, topic: Topic, fill: Fill) -> None:
        if topic is FILLS:
            self.fills += 1

    def _take_performance(self, topic: Topic, performance: PerformanceSnapshot) -> None:
        self.performance[performance.account_id] = performance

    def _take_pnl(self, topic: Topic, snapshot: PnlSnapshot) -> None:
        self.members[(snapshot.account_id, snapshot.dimension, snapshot.member)] = snapshot
        if snapshot.dimension is PnlDimension.ACCOUNT:
            self.accounts[snapshot.account_id] = snapshot

    @property
    def result_hash(self) -> str:
        """Hash over the sequences of orders, fills and P&L of each account, without headers and offsets."""
        whole = blake2b(digest_size=16)
        for (account, topic), digest in sorted(self._hashes.items()):
            whole.update(f"{account}\0{topic}\0".encode())
            whole.update(digest.digest())
        return whole.hexdigest()

    @property
    def equity(self) -> Decimal:
        """Sum of the accounts' equity; accounts whose equity is unknown are not in it."""
        return sum((s.equity for s in self.accounts.values() if s.equity is not None), ZERO)

    @property
    def max_drawdown(self) -> Decimal:
        """Deepest fall of an account's daily equity below its highest before, as a fraction: the worst account's."""
        deepest = min((p.max_drawdown or 0.0 for p in self.performance.values()), default=0.0)
        return rounded(Decimal(abs(deepest)))

    @property
    def pnl(self) -> Decimal | None:
        """Realised and unrealised result after fees, over all accounts; None where one cannot be valued."""
        total = ZERO
        for account in self.accounts.values():
            if account.unrealised_pnl is None:
                return None
            total += account.realised_pnl + account.unrealised_pnl - account.fees
        return total

    def as_json(self) -> dict[str, Any]:
        """The keys that `run` and `backtest` share; decimals as text."""
        trades = sum(s.closed_trades for s in self.accounts.values())
        wins = sum(s.winning_trades for s in self.accounts.values())
        return {
            "bars": self.bars,
            "signals": self.accepted + sum(self.refused.values()),
            "refused": sum(self.refused.values()),
            "refused_by_code": dict(sorted(self.refused.items())),
            "orders": self.orders,
            "denied": sum(self.denied.values()),
            "denied_by_code": dict(sorted(self.denied.items())),
            "rejected": self.rejected,
            "fills": self.fills,
            "findings_by_code": dict(sorted(self.findings.items())),
            "pnl": None if self.pnl is None else _text(self.pnl),
            "fees": _text(sum((s.fees for s in self.accounts.values()), ZERO)),
            "equity": _text(self.equity),
            "max_drawdown": _text(self.max_drawdown),
            "trades": trades,
            "win_rate": wins / trades if trades else None,
            "sharpe": {a: p.sharpe for a, p in sorted(self.performance.items())},
            "result_hash": self.result_hash,
        }


_TAKES: dict[type[Record], Callable[[Result, Topic, Any], None]] = {
    Bar: Result._take_bar,
    AcceptedSignal: Result._take_accepted,
    RefusedSignal: Result._take_refused,
    QualityFinding: Result._take_finding,
    SubmitOrder: Result._take_submitted,
    RiskVerdict: Result._take_verdict,
    OrderEvent: Result._take_order,
    Fill: Result._take_fill,
    PnlSnapshot: Result._take_pnl,
    PerformanceSnapshot: Result._take_performance,
}


def taken_from(topic: Topic) -> tuple[type[Record], ...]:
    """The records of a watched topic that change a result."""
    counted = [Bar, Fill] if topic in (MARKET_BARS, FILLS) else [kind for kind in _TAKES if kind not in (Bar, Fill)]
    return tuple(kind for kind in topic.records if kind in counted or kind in HASHED.get(topic.name, ()))
