"""Push boards and alerts to a Grafana through its API: what differs, and nothing else.

A second push changes nothing; a dry run says what a push would do, with the difference of every file. Boards and alerts
that a Grafana reads from files are left to them.
"""

import difflib
import json
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from grafana_client.api import GrafanaApi
from grafana_client.client import (
    GrafanaClientError,
    GrafanaException,
    GrafanaServerError,
    GrafanaTimeoutError,
    TokenAuth,
)

from dashboards.grafana import alerts
from dashboards.grafana.board import TAG, as_model
from dashboards.grafana.designs import BOARDS

MESSAGE = "quantumleap dashboards push"
THEIRS = ("id", "version")
"""Fields of a board that Grafana counts by itself."""
NOT_FOUND = 404

Api = Any
"""A `GrafanaApi`: its elements have no types."""


class CannotPush(Exception):
    """Nothing was pushed from here on; the message says who, what and the next step."""


class GrafanaAway(CannotPush):
    """Grafana did not answer, or not now: the same push may be tried again."""


class GrafanaRefused(CannotPush):
    """Grafana answered and does not want it: somebody has to change something."""


class Verdict(StrEnum):
    CREATE = "create"
    UPDATE = "update"
    SAME = "same"
    FROM_FILES = "from files"


@dataclass(frozen=True, slots=True)
class Change:
    """What a push does, or would do, to one thing.

    kind: folder, board or alerts
    uid, title: which
    verdict: create, update, same, or left to the files that Grafana reads
    diff: lines of a unified difference, theirs to ours; empty for same
    """

    kind: str
    uid: str
    title: str
    verdict: Verdict
    diff: tuple[str, ...] = ()


def connected(url: str, *, token: str = "", user: str = "", password: str = "", timeout_s: float = 10.0) -> Api:
    """A Grafana to push to, by the token of a service account or by name and password. Asks nothing yet."""
    bearer: Any = TokenAuth
    return GrafanaApi.from_url(url, credential=bearer(token) if token else (user, password), timeout=timeout_s)


def push(grafana: Api, *, dry_run: bool = False, with_alerts: bool = True) -> list[Change]:
    """Make folder, boards and alerts as the code says; with `dry_run` only say what would change.

    Raises GrafanaAway and GrafanaRefused. A push that was interrupted is completed by the next one.
    """
    try:
        if with_alerts:
            _require_source(grafana)
        changes = [_folder(grafana, dry_run=dry_run)]
        changes += [_board(grafana, as_model(board), dry_run=dry_run) for board in BOARDS]
        if with_alerts:
            changes.append(_alerts(grafana, dry_run=dry_run))
    except (GrafanaTimeoutError, GrafanaServerError, OSError) as error:
        raise GrafanaAway(f"Grafana does not answer as it should: {error}; the same push may be repeated") from error
    except GrafanaException as error:
        raise GrafanaRefused(f"Grafana refused: {error}; check the address, the token and its rights") from error
    return changes


def _require_source(grafana: Api) -> None:
    """Alerts name their data source by uid; without it they would be saved and fail at each evaluation."""
    if _found(grafana.datasource.get_datasource_by_uid, alerts.CLICKHOUSE_UID) is None:
        raise GrafanaRefused(
            f"Grafana has no data source with the uid {alerts.CLICKHOUSE_UID}, which the alerts ask; "
            "add it (dashboards/grafana/provisioning/datasources shows how) or push without alerts"
        )


def _folder(grafana: Api, *, dry_run: bool) -> Change:
    found = _found(grafana.folder.get_folder, alerts.FOLDER_UID)
    if found is None and not dry_run:
        grafana.folder.create_folder(alerts.FOLDER, uid=alerts.FOLDER_UID)
    return Change("folder", alerts.FOLDER_UID, alerts.FOLDER, Verdict.CREATE if found is None else Verdict.SAME)


def _board(grafana: Api, ours: dict[str, Any], *, dry_run: bool) -> Change:
    uid, title = str(ours["uid"]), str(ours["title"])
    found = _found(grafana.dashboard.get_dashboard, uid)
    if found is None:
        verdict, theirs = Verdict.CREATE, {}
    else:
        theirs = {key: value for key, value in found["dashboard"].items() if key not in THEIRS}
        if found["meta"].get("provisioned"):
            return Change("board", uid, title, Verdict.FROM_FILES)
        if TAG not in theirs.get("tags", []):
            raise GrafanaRefused(f"the board {uid} in Grafana is not ours (no tag {TAG}); move it to another uid first")
        at_home = found["meta"].get("folderUid") == alerts.FOLDER_UID
        verdict = Verdict.SAME if theirs == ours and at_home else Verdict.UPDATE
    if verdict is not Verdict.SAME and not dry_run:
        payload = {"dashboard": ours, "folderUid": alerts.FOLDER_UID, "overwrite": True, "message": MESSAGE}
        grafana.dashboard.update_dashboard(payload)
    return Change("board", uid, title, verdict, _difference(theirs, ours) if verdict is not Verdict.SAME else ())


def _alerts(grafana: Api, *, dry_run: bool) -> Change:
    ours = _group()
    found = _found(grafana.alertingprovisioning.get_rule_group, alerts.FOLDER_UID, alerts.GROUP)
    theirs = {} if found is None or not found.get("rules") else found
    if any(rule.get("provenance") == "file" for rule in theirs.get("rules", ())):
        return Change("alerts", alerts.GROUP, alerts.GROUP, Verdict.FROM_FILES)
    verdict = Verdict.SAME if _holds(theirs, ours) else Verdict.UPDATE if theirs else Verdict.CREATE
    if verdict is not Verdict.SAME and not dry_run:
        grafana.alertingprovisioning.update_rule_group(alerts.FOLDER_UID, alerts.GROUP, ours)
    return Change(
        "alerts", alerts.GROUP, alerts.GROUP, verdict, _difference(theirs, ours) if verdict is not Verdict.SAME else ()
    )


def _group() -> dict[str, Any]:
    """The alerts as the API takes them, which differs a little from provisioning files."""
    rules = []
    for rule in alerts.rule_group()["rules"]:
        api = {key: value for key, value in rule.items() if key not in ("dashboardUid", "panelId")}
        panel = {"__dashboardUid__": rule["dashboardUid"], "__panelId__": str(rule["panelId"])}
        place = {"folderUID": alerts.FOLDER_UID, "ruleGroup": alerts.GROUP, "orgID": 1}
        rules.append({**api, **place, "annotations": {**rule["annotations"], **panel}})
    return {"title": alerts.GROUP, "folderUid": alerts.FOLDER_UID, "interval": alerts.INTERVAL_S, "rules": rules}


def _found(ask: Any, *of: str) -> Any:
    """The answer, or None where Grafana knows no such thing."""
    try:
        return ask(*of)
    except GrafanaClientError as error:
        if error.status_code == NOT_FOUND:
            return None
        raise


def _holds(theirs: Any, ours: Any) -> bool:
    """Whether theirs says all that ours says; Grafana adds ids, times and defaults to alerts."""
    if isinstance(ours, dict) and isinstance(theirs, dict):
        return all(key in theirs and _holds(theirs[key], value) for key, value in ours.items())
    if isinstance(ours, list) and isinstance(theirs, list):
        return len(ours) == len(theirs) and all(_holds(one, other) for one, other in zip(theirs, ours, strict=True))
    return bool(ours == theirs)


def _difference(theirs: dict[str, Any], ours: dict[str, Any]) -> tuple[str, ...]:
    before, after = (
        json.dumps(one, indent=1, sort_keys=True, ensure_ascii=False).splitlines() for one in (theirs, ours)
    )
    return tuple(difflib.unified_diff(before, after, fromfile="Grafana", tofile="code", lineterm="", n=1))
