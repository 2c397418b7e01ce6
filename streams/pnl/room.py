"""The room: what each record adds, and what is told when risk has looked at the account.

Amounts of the account and of instruments are those of the positions themselves; those of strategies and providers are
made of their own fills (`lines`). Snapshots come with a RiskSnapshot, for the account and for the members that changed
since, converted at the conversions of then; where one is missing, the unrealised result is absent.
"""

from collections.abc import Mapping
from decimal import Decimal, getcontext
from typing import ClassVar

from msgspec.structs import replace

from schemas.execution import Fill
from schemas.position import PnlDimension, PnlSnapshot, PositionAdjusted, PositionState, Suggestion
from schemas.record import Part, Record
from schemas.risk import RiskSnapshot
from schemas.scalars import ZERO, rounded
from schemas.topics import ACCOUNTS_EVENTS, Topic
from streams.pnl import lines
from streams.pnl.days import performance, told
from streams.pnl.lines import Line
from streams.pnl.state import SEPARATOR, AccountPnl, Amounts, Header, Member, dimension_of, line_key, member_key, plus
from streams.pnl.suggestions import RULES, Seen, results
from streams.runtime.room import Outcome, Room

DIGITS = 50
"""Precision of a fold: products of two wire decimals are kept exactly enough."""
_ONE = Decimal(1)
_NOBODY = Member()
_UNTRADED = Line()


class NoShared(Part, frozen=True):
    """Nothing is broadcast to this room."""


class Pnl(Room[AccountPnl, NoShared]):
    """Reads accounts.events. Writes pnl. Keeps one AccountPnl each."""

    name: ClassVar[str] = "pnl"
    reads: ClassVar[Topic] = ACCOUNTS_EVENTS
    part_types: ClassVar[Mapping[str, type[Part]]] = {"account": Header, "line": Line, "member": Member}
    shared_type: ClassVar[type[Part]] = NoShared
    version: ClassVar[int] = 2
    gather_s: ClassVar[float] = 0.1

    def begin(self, key: str) -> AccountPnl:
        return AccountPnl(account_id=key)

    def begin_shared(self) -> NoShared:
        return NoShared()

    def fold(self, state: AccountPnl, shared: NoShared, record: Record) -> Outcome[AccountPnl]:
        getcontext().prec = DIGITS
        match record:
            case PositionState():
                return Outcome(_valued(state, record))
            case Fill():
                return Outcome(_filled(state, record))
            case PositionAdjusted():
                return Outcome(_adjusted(state, record))
            case RiskSnapshot():
                return _looked_at(state, record)
            case _:
                return Outcome(state)

    def parts(self, state: AccountPnl) -> Mapping[str, Part]:
        parts: dict[str, Part] = {"account": state.header}
        for key, line in state.lines.items():
            parts[f"line:{key}"] = line
        for key, member in state.members.items():
            parts[f"member:{key}"] = member
        return parts

    def assemble(self, key: str, parts: Mapping[str, Part]) -> AccountPnl:
        header = Header()
        held: dict[str, Line] = {}
        members: dict[str, Member] = {}
        for name, part in parts.items():
            match part:
                case Header():
                    header = part
                case Line():
                    held[name.partition(":")[2]] = part
                case Member():
                    members[name.partition(":")[2]] = part
                case _:
                    raise AssertionError(f"{name} is no part of this room")
        return AccountPnl(account_id=key, header=header, lines=held, members=members)


def _filled(state: AccountPnl, fill: Fill) -> AccountPnl:
    instrument = member_key(PnlDimension.INSTRUMENT, fill.instrument_id)
    if state.lines.get(line_key(instrument, fill.instrument_id), _UNTRADED).last_fill == fill.fill_id:
        return state
    fee = _in_currency(state.header, fill.fee, fill.fee_currency, fill.currency)
    turnover = lines.notional(fill)
    held, members = dict(state.lines), dict(state.members)
    touched = [instrument]
    if fill.strategy_id:
        touched.append(member_key(PnlDimension.STRATEGY, fill.strategy_id))
    if fill.provider_id:
        touched.append(member_key(PnlDimension.PROVIDER, fill.provider_id))
    opened = set(state.header.open_lines.get(fill.instrument_id, ()))
    for key in touched:
        at = line_key(key, fill.instrument_id)
        before = held.get(at, _UNTRADED)
        effect = lines.fold(before, fill, fee)
        held[at] = effect.line
        (opened.add if effect.line.quantity else opened.discard)(at)
        counted = _counted(members.get(key, _NOBODY), fill, turnover, effect)
        members[key] = counted if key == instrument else _booked(counted, fill, effect, before)
        if key == instrument:
            account = member_key(PnlDimension.ACCOUNT, state.account_id)
            members[account] = _counted(members.get(account, _NOBODY), fill, turnover, effect)
    open_lines = {**state.header.open_lines, fill.instrument_id: tuple(sorted(opened))}
    header = replace(state.header, open_lines=open_lines, dirty=_with(state.header.dirty, touched))
    return replace(state, header=header, lines=held, members=members)


def _adjusted(state: AccountPnl, action: PositionAdjusted) -> AccountPnl:
    """Lines that are open, with their units and income; the instrument's own results come with its position."""
    instrument = member_key(PnlDimension.INSTRUMENT, action.instrument_id)
    held, members, touched = dict(state.lines), dict(state.members), []
    for at in state.header.open_lines.get(action.instrument_id, ()):
        owner = at.rpartition(SEPARATOR)[0]
        effect = lines.adjusted(held[at], action.ratio, action.amount)
        held[at] = effect.line
        if owner != instrument:
            member = members[owner]
            members[owner] = replace(member, realised=plus(member.realised, action.currency, effect.realised))
            touched.append(owner)
    header = replace(state.header, dirty=_with(state.header.dirty, touched))
    return replace(state, header=header, lines=held, members=members)


def _counted(member: Member, fill: Fill, turnover: Decimal, effect: lines.Effect) -> Member:
    return replace(
        member,
        fills=member.fills + 1,
        turnover=plus(member.turnover, fill.currency, turnover),
        trips=member.trips + effect.trips,
        wins=member.wins + effect.wins,
    )


def _booked(member: Member, fill: Fill, effect: lines.Effect, before: Line) -> Member:
    """The member with what its own line realised and is worth now."""
    member = replace(
        member,
        realised=plus(member.realised, fill.currency, effect.realised),
        fees=plus(member.fees, fill.fee_currency or fill.currency, fill.fee),
    )
    return _revalued(member, fill.currency, before.unrealised, effect.line.unrealised)


def _revalued(member: Member, currency: str, before: Decimal | None, after: Decimal | None) -> Member:
    if before == after and (before is None) == (after is None):
        return member
    return replace(
        member,
        unrealised=plus(member.unrealised, currency, (after or ZERO) - (before or ZERO)),
        unpriced=member.unpriced + (after is None) - (before is None),
    )


def _valued(state: AccountPnl, position: PositionState) -> AccountPnl:
    key = member_key(PnlDimension.INSTRUMENT, position.instrument_id)
    header = _converted(state.header, position.currency, position.conversion)
    members = _restated(state, key, position)
    held = state.lines
    touched = [] if members is state.members and header is state.header else [key]
    for at in header.open_lines.get(position.instrument_id, ()):
        line = lines.marked(held[at], position.mark)
        if line is held[at]:
            continue
        owner = at.rpartition(SEPARATOR)[0]
        if owner != key:
            revalued = _revalued(members[owner], position.currency, held[at].unrealised, line.unrealised)
            members = {**members, owner: revalued}
            touched.append(owner)
        held = {**held, at: line}
    if not touched and held is state.lines:
        return state
    header = replace(header, dirty=_with(header.dirty, touched))
    return replace(state, header=header, lines=held, members=members)


def _restated(state: AccountPnl, key: str, position: PositionState) -> dict[str, Member]:
    """The members with the instrument as the position says it is, and the account moved by the difference."""
    currency, before = position.currency, state.members.get(key, _NOBODY)
    unpriced = 1 if position.quantity and position.unrealised_pnl is None else 0
    gained = position.realised_pnl - before.realised.get(currency, ZERO)
    charged = position.fees - before.fees.get(currency, ZERO)
    moved = (position.unrealised_pnl or ZERO) - before.unrealised.get(currency, ZERO)
    if not (gained or charged or moved or unpriced != before.unpriced):
        return state.members
    account_key = member_key(PnlDimension.ACCOUNT, state.account_id)
    members = dict(state.members)
    for at in (key, account_key):
        member = members.get(at, _NOBODY)
        members[at] = replace(
            member,
            realised=plus(member.realised, currency, gained),
            fees=plus(member.fees, currency, charged),
            unrealised=plus(member.unrealised, currency, moved),
            unpriced=member.unpriced + unpriced - before.unpriced,
        )
    return members


def _looked_at(state: AccountPnl, look: RiskSnapshot) -> Outcome[AccountPnl]:
    header = state.header
    deposits = header.deposits if look.net_deposits is None else look.net_deposits
    peak = look.equity if header.peak is None else max(header.peak + deposits - header.deposits, look.equity)
    days = told(header.days, look.event_time_us, look.equity, deposits)
    changed = look.equity != header.equity or deposits != header.deposits or bool(header.dirty)
    if not changed and days is header.days:
        return Outcome(state)
    currency = look.currency or header.currency
    header = replace(header, currency=currency, equity=look.equity, peak=peak, deposits=deposits, days=days, dirty=())
    said: list[Record] = []
    if changed:
        account = member_key(PnlDimension.ACCOUNT, state.account_id)
        members = (account, *sorted(state.header.dirty))
        said.extend(_snapshot(state, header, key, look.event_time_us) for key in members)
    if days is not state.header.days:
        statistics = performance(days, state.account_id, look.event_time_us)
        said.extend([] if statistics is None else [statistics])
    kept = state.members
    if days.day != state.header.days.day:
        kept, suggested = _suggested(state, header, look.event_time_us)
        said.extend(suggested)
    return Outcome(replace(state, header=header, members=kept), tuple(said))


_STRATEGY = member_key(PnlDimension.STRATEGY, "")


def _suggested(state: AccountPnl, header: Header, event_time_us: int) -> tuple[dict[str, Member], list[Suggestion]]:
    """The members with what now stands of each strategy, and what is new of it; what cannot be valued stays silent."""
    members, said = state.members, []
    equity = header.equity or ZERO
    for key in sorted(key for key in members if key.startswith(_STRATEGY)):
        member = members[key]
        realised, fees, unrealised = _earned(header, member)
        if unrealised is None:
            continue
        pnl = realised + unrealised - fees
        best = max(member.best, pnl)
        seen = Seen(pnl, best, realised, fees, member.trips, member.wins, equity)
        standing = []
        for rule in RULES:
            deciding = rule.holds(seen)
            if deciding is None:
                continue
            standing.append(rule.code)
            if rule.code not in member.suggested:
                said.append(
                    Suggestion(
                        event_time_us=event_time_us, account_id=state.account_id, strategy_id=dimension_of(key)[1],
                        change=rule.change, code=rule.code, evidence=[deciding, *results(seen)],
                        currency=header.currency, factor=rule.factor, reason=rule.reason,
                    )
                )  # fmt: skip
        if best != member.best or tuple(standing) != member.suggested:
            members = {**members, key: replace(member, best=best, suggested=tuple(standing))}
    return members, said


def _snapshot(state: AccountPnl, header: Header, key: str, event_time_us: int) -> PnlSnapshot:
    member = state.members.get(key, _NOBODY)
    dimension, name = dimension_of(key)
    realised, fees, unrealised = _earned(header, member)
    turnover, _ = _in_base(header, member.turnover)
    equity = peak = drawdown = None
    if dimension is PnlDimension.ACCOUNT:
        equity, peak = header.equity, header.peak
        if equity is not None and peak is not None and peak > ZERO:
            drawdown = rounded((peak - equity) / peak)
    return PnlSnapshot(
        event_time_us=event_time_us,
        account_id=state.account_id,
        dimension=dimension,
        member=name,
        currency=header.currency,
        realised_pnl=realised,
        fees=fees,
        fills=member.fills,
        closed_trades=member.trips,
        winning_trades=member.wins,
        turnover=turnover,
        unrealised_pnl=unrealised,
        equity=equity,
        peak_equity=peak,
        drawdown=drawdown,
    )


def _earned(header: Header, member: Member) -> tuple[Decimal, Decimal, Decimal | None]:
    """What was realised, the fees, and what is unrealised, in the base currency; the last None where unknown."""
    realised, known = _in_base(header, member.realised)
    fees, fees_known = _in_base(header, member.fees)
    unrealised, priced = _in_base(header, member.unrealised)
    return realised, fees, unrealised if known and fees_known and priced and not member.unpriced else None


def _in_base(header: Header, amounts: Amounts) -> tuple[Decimal, bool]:
    """The sum in the base currency, and whether every amount could be converted; what could not is left out."""
    if not amounts:
        return ZERO, True
    if len(amounts) == 1 and header.currency in amounts:
        return amounts[header.currency], True
    total, known = ZERO, True
    for currency, amount in amounts.items():
        conversion = _ONE if currency == header.currency else header.conversions.get(currency)
        if conversion is None:
            known = known and not amount
        else:
            total += amount * conversion
    return rounded(total), known


def _in_currency(header: Header, amount: Decimal, given: str, wanted: str) -> Decimal:
    """The amount in another currency by the newest conversions; nothing where one of them is unknown."""
    if not given or given == wanted:
        return amount
    per = {header.currency: _ONE, **header.conversions}
    if given in per and per.get(wanted):
        return rounded(amount * per[given] / per[wanted])
    return ZERO


def _converted(header: Header, currency: str, conversion: Decimal | None) -> Header:
    if header.conversions.get(currency) == conversion:
        return header
    conversions = dict(header.conversions)
    if conversion is None:
        conversions.pop(currency, None)
    else:
        conversions[currency] = conversion
    base = currency if not header.currency and conversion == _ONE else header.currency
    return replace(header, conversions=conversions, currency=base)


def _with(dirty: tuple[str, ...], touched: list[str]) -> tuple[str, ...]:
    new = tuple(key for key in touched if key not in dirty)
    return dirty + new if new else dirty
