"""What a careful reader would object to in a board, by the names of Grafana's own linter where it has one."""

import re
from collections.abc import Iterator, Mapping
from itertools import combinations, pairwise
from typing import Any

from grafana_foundation_sdk.models import units

UNITS = frozenset({value for value in vars(units).values() if isinstance(value, str)} | {"none", "short", "locale"})
SOURCES = {"${clickhouse}": "grafana-clickhouse-datasource", "${prometheus}": "prometheus"}
WITHOUT_QUESTIONS = frozenset({"row", "alertlist"})
BUILT_IN = re.compile(r"^(__\w+)$")

Json = Mapping[str, Any]


def objections(board: Json, uids: frozenset[str]) -> list[str]:
    """All objections to one board; `uids` are those of all boards."""
    return [*_frame(board), *_grid(board), *_links(board, uids), *_variables(board), *_panels(board)]


def _frame(board: Json) -> Iterator[str]:
    if not re.fullmatch(r"ql-[a-z]{2,36}", board["uid"]):
        yield f"uid: {board['uid']} is not `ql-` and a word"
    for field in ("title", "description"):
        if not board.get(field):
            yield f"{field}: is missing"
    if board["editable"] or board["timezone"] != "utc" or board["tags"] != ["quantumleap"]:
        yield "frame: boards are read-only, in UTC, and tagged"
    marks = {mark["name"] for mark in board["annotations"]["list"]}
    if marks != {"Kill switch", "Halts", "Deployments"}:
        yield f"annotations: are {sorted(marks)}"
    if not any(link["type"] == "dashboards" and link["keepTime"] and link["includeVars"] for link in board["links"]):
        yield "links: no way to the other boards"


def _grid(board: Json) -> Iterator[str]:
    panels = board["panels"]
    ids = [panel["id"] for panel in panels]
    if len(set(ids)) != len(ids):
        yield "panel-id: is used twice"
    titles = [panel["title"] for panel in panels]
    if len(set(titles)) != len(titles):
        yield f"panel-title: is used twice: {sorted(title for title in titles if titles.count(title) > 1)}"
    for panel in panels:
        place = panel["gridPos"]
        if place["x"] < 0 or place["x"] + place["w"] > 24 or place["w"] < 1 or place["h"] < 1:
            yield f"panel-place: {panel['title']} is off the grid"
    for one, other in combinations(panels, 2):
        if _overlap(one["gridPos"], other["gridPos"]):
            yield f"panel-overlap: {one['title']} and {other['title']}"
    for row, after in pairwise(panels):
        if row["type"] == after["type"] == "row":
            yield f"panel-row: {row['title']} is empty"


def _overlap(one: Json, other: Json) -> bool:
    across = one["x"] < other["x"] + other["w"] and other["x"] < one["x"] + one["w"]
    down = one["y"] < other["y"] + other["h"] and other["y"] < one["y"] + one["h"]
    return bool(across and down)


def _links(board: Json, uids: frozenset[str]) -> Iterator[str]:
    for uid in re.findall(r"/d/([\w-]+)", str(board)):
        if uid not in uids:
            yield f"links: no board is called {uid}"


def _variables(board: Json) -> Iterator[str]:
    variables = {variable["name"]: variable for variable in board["templating"]["list"]}
    for source in ("clickhouse", "prometheus"):
        if variables.get(source, {}).get("type") != "datasource":
            yield f"template-datasource: {source} is not a choice"
    questions = [target for panel in board["panels"] for target in panel.get("targets", ())]
    text = str([questions, [variable.get("query") for variable in variables.values()], board["annotations"]])
    used = {name for name in re.findall(r"\$\{?(\w+)", text) if not BUILT_IN.match(name)}
    for name in sorted(used - set(variables)):
        yield f"variables: {name} is used and not defined"
    for name in sorted(set(variables) - used - {"clickhouse", "prometheus"}):
        yield f"variables: {name} is defined and not used"


def _panels(board: Json) -> Iterator[str]:
    for panel in board["panels"]:
        said = f"{panel['title'] or panel['id']}"
        if not panel["title"]:
            yield f"panel-title: panel {panel['id']} has none"
        if panel["type"] == "row":
            continue
        if not panel.get("description", "").endswith("."):
            yield f"panel-description: {said} has no sentence"
        if panel["type"] in WITHOUT_QUESTIONS:
            continue
        defaults = panel["fieldConfig"]["defaults"]
        for unit in (defaults.get("unit"), *_units_of_columns(panel)):
            if unit not in UNITS:
                yield f"panel-units: {said} has {unit}"
        if not defaults.get("thresholds", {}).get("steps") or not defaults.get("noValue"):
            yield f"panel-thresholds: {said} has no colours, or no word for nothing"
        yield from _questions(panel, said)


def _units_of_columns(panel: Json) -> Iterator[str]:
    for override in panel["fieldConfig"]["overrides"]:
        yield from (change["value"] for change in override["properties"] if change["id"] == "unit")


def _questions(panel: Json, said: str) -> Iterator[str]:
    targets = panel.get("targets") or []
    if not targets:
        yield f"panel-targets: {said} asks nothing"
    if len({target["refId"] for target in targets}) != len(targets):
        yield f"panel-targets: {said} uses a name of a question twice"
    for target in targets:
        source = target["datasource"]
        if SOURCES.get(source["uid"]) != source["type"] or panel["datasource"] != source:
            yield f"panel-datasource: {said} asks {source}"
        if source["type"] == "prometheus":
            yield from _prometheus(target.get("expr", ""), said)
        elif not target.get("rawSql", "").lstrip().startswith("SELECT"):
            yield f"target-sql: {said} does more than ask"


def _prometheus(text: str, said: str) -> Iterator[str]:
    for window in re.findall(r"\[([^\]]+)\]", text):
        if window != "$__rate_interval":
            yield f"target-rate-interval: {said} looks back {window}"
    selectors = re.findall(r"\b(quantumleap[\w:]+)(\{[^}]*\})?", re.sub(r"\$\{[^}]*\}", "", text))
    for name, matchers in selectors:
        if "environment=" not in matchers:
            yield f"target-environment: {said} mixes environments in {name}"
