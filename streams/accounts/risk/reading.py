"""Reading: what one check saw, against which bound, and what it says."""

from decimal import Decimal

from msgspec.structs import replace

from schemas.record import Part
from schemas.risk import CheckOutcome, Limit
from streams.accounts.risk.limits import BY_NAME
from streams.accounts.risk.view import View

MEMO_MAX = 4096
WORDS_MAX = 16
"""Longer decimals are cut to twelve places."""


class Reading(Part, frozen=True):
    """The outcome of one check, with texts for people and auditors. `code` is empty on pass."""

    outcome: CheckOutcome
    code: str = ""
    value: str = ""
    limit: str = ""
    inputs: str = ""


PASS, HARD, SOFT = CheckOutcome.PASS, CheckOutcome.HARD, CheckOutcome.SOFT
PASSED = Reading(PASS)


def passed(value: object = "", limit: object = "", inputs: str = "") -> Reading:
    """The check has nothing to say against the order."""
    return Reading(PASS, "", text(value), text(limit), inputs)


def denied(code: str, value: object = "", limit: object = "", inputs: str = "") -> Reading:
    """The check denies the order."""
    return Reading(HARD, code, text(value), text(limit), inputs)


def text(value: object) -> str:
    """A value as verdicts show it: decimals without exponent, at most twelve places."""
    if isinstance(value, Decimal):
        words = str(value)
        if len(words) > WORDS_MAX or "E" in words:
            return _cut(value)
        return words.rstrip("0").rstrip(".") if "." in words else words
    if isinstance(value, str):
        return value
    if isinstance(value, float):
        return f"{value:.9g}"
    return str(value)


_cuts: dict[int, tuple[Decimal, str]] = {}


def _cut(value: Decimal) -> str:
    """A long decimal, cut; computed once for each object: a verdict shows the account's equity many times."""
    known = _cuts.get(id(value))
    if known is not None and known[0] is value:
        return known[1]
    if len(_cuts) >= MEMO_MAX:
        _cuts.clear()
    words = f"{value:.12f}".rstrip("0").rstrip(".") if value.is_finite() else str(value)
    _cuts[id(value)] = (value, words)
    return words


def within(view: View, name: str, value: Decimal | None, code: str, inputs: str = "") -> Reading:
    """Pass up to and including the limit; warn above its soft bound; deny above it, and where either is unknown.

    A limit that is not required and not set bounds nothing.
    """
    limit = view.bounds.limit(name)
    if limit is None:
        if BY_NAME[name].required:
            return denied("LIMIT_MISSING", "", name, inputs)
        return passed("" if value is None else value, "", inputs)
    bound = limit.value
    scale = view.bounds.scales.get(name)
    if scale is None:
        shown = _shown(limit)
    else:
        bound, shown, words = _scaled(limit, scale)
        inputs = f"{inputs} {words}" if inputs else words
    if value is None:
        return Reading(HARD, f"{code}_UNKNOWN", "", shown, inputs)
    if value > bound:
        return Reading(HARD, code, text(value), shown, inputs)
    if limit.soft is not None and value > (limit.soft if scale is None else limit.soft * scale):
        return Reading(SOFT, code, text(value), text(limit.soft), inputs)
    return Reading(PASS, "", text(value), shown, inputs)


_texts: dict[int, tuple[Limit, str]] = {}
_scales: dict[int, tuple[Limit, Decimal, tuple[Decimal, str, str]]] = {}


def _shown(limit: Limit) -> str:
    """The bound as text; computed once for each limit object, which every verdict shows."""
    known = _texts.get(id(limit))
    if known is not None and known[0] is limit:
        return known[1]
    if len(_texts) >= MEMO_MAX:
        _texts.clear()
    words = text(limit.value)
    _texts[id(limit)] = (limit, words)
    return words


def _scaled(limit: Limit, scale: Decimal) -> tuple[Decimal, str, str]:
    """The bound at this scale, as number and as text, and the scale in words; computed once while the scale stays."""
    known = _scales.get(id(limit))
    if known is not None and known[0] is limit and known[1] == scale:
        return known[2]
    if len(_scales) >= MEMO_MAX:
        _scales.clear()
    bound = limit.value * scale
    told = (bound, text(bound), f"scale={text(scale)}")
    _scales[id(limit)] = (limit, scale, told)
    return told


def unless_shrinking(view: View, reading: Reading) -> Reading:
    """An order that does not raise the worst position passes a bound on exposure, even one already broken."""
    if reading.outcome is HARD and view.worst_after <= view.worst_before:
        return replace(reading, outcome=SOFT, inputs=f"{reading.inputs} shrinks".lstrip())
    return reading
