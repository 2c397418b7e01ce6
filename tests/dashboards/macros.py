"""What Grafana and its ClickHouse plugin do to a question before the server sees it: variables, then macros."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

ALL = "$__all"


@dataclass(frozen=True, slots=True)
class View:
    """What a person looks at.

    since_s, until_s: the time shown, seconds of UTC
    step_s: width of one point, seconds
    chosen: values of the variables; `ALL` where none is chosen
    """

    since_s: int
    until_s: int
    step_s: int = 3600
    chosen: Mapping[str, str | tuple[str, ...]] = field(default_factory=dict)


def expanded(sql: str, view: View) -> str:
    """The question as the server gets it. Raises ValueError for what neither Grafana nor the plugin knows."""
    sql = _macros(sql, view, browser=True)
    sql = re.sub(r"\$\{(\w+)(?::(\w+))?\}|\$([a-zA-Z]\w*)", lambda match: _variable(match, view), sql)
    sql = _macros(sql, view, browser=False)
    if "$" in sql:
        raise ValueError(f"something is left to expand in {sql}")
    return sql


def _variable(match: re.Match[str], view: View) -> str:
    name, form = match[1] or match[3], match[2]
    if name not in view.chosen:
        raise ValueError(f"no variable is called {name}")
    value = view.chosen[name]
    values = value if isinstance(value, tuple) else (value,)
    if form == "singlequote":
        return ",".join("'" + text.replace("'", "\\'") + "'" for text in values)
    if form in (None, "text"):
        return ",".join(values)
    raise ValueError(f"{match[0]} has a format that these questions should not need")


def _macros(sql: str, view: View, *, browser: bool) -> str:
    """The macros of one side expanded, arguments with brackets of their own included."""
    while True:
        names = r"\$__conditionalAll\b" if browser else r"\$__(\w+)"
        match = re.search(names, sql)
        if match is None:
            return sql
        arguments, end = _arguments(sql, match.end())
        put = _conditional(arguments, view) if browser else _macro(match[1], arguments, view)
        sql = sql[: match.start()] + put + sql[end:]


def _arguments(sql: str, start: int) -> tuple[list[str], int]:
    if not sql.startswith("(", start):
        return [], start
    depth, begin, found = 0, start + 1, []
    for place in range(start, len(sql)):
        letter = sql[place]
        depth += (letter == "(") - (letter == ")")
        if (letter == "," and depth == 1) or depth == 0:
            found.append(sql[begin:place].strip())
            begin = place + 1
        if depth == 0:
            return found, place + 1
    raise ValueError(f"a bracket is not closed in {sql}")


def _conditional(arguments: list[str], view: View) -> str:
    condition, variable = arguments
    name = variable.strip("${}")
    if name not in view.chosen:
        raise ValueError(f"no variable is called {name}")
    return "1=1" if view.chosen[name] == ALL else condition


def _macro(name: str, arguments: list[str], view: View) -> str:
    since, until = f"toDateTime({view.since_s})", f"toDateTime({view.until_s})"
    match name, arguments:
        case "timeFilter", [column]:
            return f"{column} >= {since} AND {column} <= {until}"
        case "dateFilter", [column]:
            return f"{column} >= toDate({since}, 'UTC') AND {column} <= toDate({until}, 'UTC')"
        case "timeInterval", [column]:
            return f"toStartOfInterval(toDateTime({column}), INTERVAL {view.step_s} second)"
        case "interval_s", []:
            return str(view.step_s)
        case "fromTime", []:
            return since
        case "toTime", []:
            return until
    raise ValueError(f"$__{name} with {len(arguments)} arguments is no macro that these questions use")
