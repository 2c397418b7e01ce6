"""The page on risk, printed from the tables: checks, limits, curves, scenarios. `docs/risk.md` is this text."""

from collections.abc import Iterable, Sequence

from schemas.risk import CheckOutcome
from streams.accounts.risk.checks import CHECKS
from streams.accounts.risk.curves import DRAWDOWN, SCALED, SESSION_EDGE, VOLATILITY, Curve
from streams.accounts.risk.limits import HUGE, SPECS, Spec
from streams.accounts.risk.reading import text
from streams.accounts.risk.scenarios import SCENARIOS, Rule

HEAD = """# Risk

Printed from the tables in `streams/accounts/risk` by `python -m streams.accounts.risk.document > docs/risk.md`; a test
keeps the two the same. Every order passes every check, none short-circuits, and the verdict carries what each one saw.
What a check does not know, it denies.

Order of a wish: sizing (`sizing.py`), the checks below, reservation of the worst case, the order. A denial is
a `RiskVerdict` with the code of the gravest check first.
"""


def page() -> str:
    """The whole page, ending in a newline."""
    return "\n".join((HEAD, _checks(), _limits(), _curves(), _scenarios())).rstrip() + "\n"


def _checks() -> str:
    rows = [
        (
            str(number), f"`{check.check_id}`", str(check.version), check.serves, check.needs,
            " ".join(f"`{name}`" for name in check.limits), _word(check.shrinking), _word(check.emergency),
        )
        for number, check in enumerate(CHECKS, 1)
    ]  # fmt: skip
    return _section(
        "Checks, gravest first",
        "*Shrinking* and *emergency* say what a denial is for an order that can only shrink the position, and for\n"
        "an exit that risk itself sends.",
        ("#", "check", "version", "serves", "needs, or denies", "limits", "shrinking", "emergency"),
        rows,
    )


def _limits() -> str:
    rows = [
        (f"`{spec.name}`", spec.unit.value, spec.meaning, " ".join(scope.lower() for scope in spec.scopes),
         _range(spec), "yes" if spec.required else "")
        for spec in SPECS
    ]  # fmt: skip
    return _section(
        "Limits and parameters",
        "A change outside the range, of an unknown name, or in contradiction to another limit is refused whole, with\n"
        "the line that is wrong. Without a required limit nothing is approved; the narrowest scope decides.",
        ("limit", "unit", "meaning", "scopes", "range", "required"),
        rows,
    )


def _curves() -> str:
    rows = [
        ("fast over slow volatility of the instrument", _points(VOLATILITY)),
        ("share of `drawdown_max` used", _points(DRAWDOWN)),
        ("seconds from the nearer end of the session", _points(SESSION_EDGE)),
    ]
    return _section(
        "Dynamic limits",
        "With `dynamic_limits` at 1 the scales multiply "
        + ", ".join(f"`{name}`" for name in SCALED)
        + ".\nWhat a curve does not know takes its smallest scale.",
        ("by", "scale"),
        rows,
    )


def _scenarios() -> str:
    rows = [
        (f"`{one.name}`", one.meaning, ", ".join(_rule(rule) for rule in one.rules) or f"{one.volatility:g} deviations")
        for one in SCENARIOS
    ]
    return _section("Stress scenarios", "", ("scenario", "meaning", "shocks"), rows)


def _section(title: str, words: str, head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [f"## {title}", ""]
    if words:
        lines += [words, ""]
    lines += ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    lines += ["| " + " | ".join(row) + " |" for row in rows]
    return "\n".join([*lines, ""])


def _word(outcome: CheckOutcome) -> str:
    return "denies" if outcome is CheckOutcome.HARD else "warns"


def _range(spec: Spec) -> str:
    high = "" if spec.highest == HUGE else f" to {text(spec.highest)}"
    return f"{text(spec.lowest)}{high or ' and more'}"


def _points(curve: Curve) -> str:
    return ", ".join(f"{text(at)}: {text(scale)}" for at, scale in curve)


def _rule(rule: Rule) -> str:
    whom = " ".join(word for word in (rule.instrument_class.lower(), rule.sector, rule.symbol) if word) or "all else"
    return f"{whom} {rule.shock:+.1%}"


if __name__ == "__main__":
    print(page(), end="")
