"""A push makes a Grafana what the code says, once, and says beforehand what it would do."""

from collections.abc import Iterator

import pytest

from connectors.embedded.ports import choose_free
from dashboards.grafana.designs import BOARDS
from dashboards.push import CannotPush, GrafanaAway, GrafanaRefused, Verdict, connected, push
from tests.dashboards.boards import committed
from tests.dashboards.grafana_server import TOKEN, Grafana, serving

ALL = len(BOARDS) + 2
"""Boards, their folder and the alerts."""


@pytest.fixture
def grafana() -> Iterator[Grafana]:
    with serving(Grafana()) as grafana:
        yield grafana


def verdicts(grafana: Grafana, **options: bool) -> dict[str, Verdict]:
    """What a push did, by uid."""
    return {change.uid: change.verdict for change in push(connected(grafana.url, token=TOKEN), **options)}


def test_the_first_push_creates_folder_boards_and_alerts(grafana: Grafana) -> None:
    assert set(verdicts(grafana).values()) == {Verdict.CREATE}
    assert grafana.writes == ALL
    for uid, board in committed().items():
        kept = grafana.boards[uid]["dashboard"]
        assert {key: value for key, value in kept.items() if key not in ("id", "version")} == board
        assert grafana.boards[uid]["meta"]["folderUid"] == "quantumleap"
    (group,) = grafana.groups.values()
    assert len(group["rules"]) == 12
    assert group["rules"][0]["annotations"]["__dashboardUid__"] in committed()


def test_pushing_twice_is_pushing_once(grafana: Grafana) -> None:
    verdicts(grafana)
    assert set(verdicts(grafana).values()) == {Verdict.SAME}
    assert grafana.writes == ALL


def test_a_dry_run_says_all_and_changes_nothing(grafana: Grafana) -> None:
    assert set(verdicts(grafana, dry_run=True).values()) == {Verdict.CREATE}
    assert grafana.writes == 0


def test_what_somebody_changed_by_hand_is_shown_and_put_right(grafana: Grafana) -> None:
    verdicts(grafana)
    grafana.boards["ql-risk"]["dashboard"]["title"] = "My risk"
    (change,) = [
        change
        for change in push(connected(grafana.url, token=TOKEN), dry_run=True)
        if change.verdict is not Verdict.SAME
    ]
    assert (change.uid, change.verdict) == ("ql-risk", Verdict.UPDATE)
    assert '- "title": "My risk",' in change.diff
    assert '+ "title": "Risk",' in change.diff
    assert verdicts(grafana)["ql-risk"] is Verdict.UPDATE
    assert grafana.boards["ql-risk"]["dashboard"]["title"] == "Risk"
    assert grafana.boards["ql-risk"]["dashboard"]["version"] == 2


def test_a_board_that_was_moved_comes_home(grafana: Grafana) -> None:
    verdicts(grafana)
    grafana.boards["ql-risk"]["meta"]["folderUid"] = "elsewhere"
    assert verdicts(grafana)["ql-risk"] is Verdict.UPDATE
    assert grafana.boards["ql-risk"]["meta"]["folderUid"] == "quantumleap"


def test_an_alert_that_was_loosened_by_hand_is_put_right(grafana: Grafana) -> None:
    verdicts(grafana)
    (group,) = grafana.groups.values()
    group["rules"][0]["data"][1]["model"]["conditions"][0]["evaluator"]["params"] = [99]
    assert verdicts(grafana)["business"] is Verdict.UPDATE
    (group,) = grafana.groups.values()
    assert group["rules"][0]["data"][1]["model"]["conditions"][0]["evaluator"]["params"] == [0.9]


def test_an_alert_that_was_removed_by_hand_comes_back(grafana: Grafana) -> None:
    verdicts(grafana)
    next(iter(grafana.groups.values()))["rules"].pop()
    assert verdicts(grafana)["business"] is Verdict.UPDATE


def test_what_grafana_reads_from_files_is_left_to_them(grafana: Grafana) -> None:
    verdicts(grafana)
    grafana.boards["ql-risk"]["meta"]["provisioned"] = True
    grafana.boards["ql-risk"]["dashboard"]["title"] = "Of the files"
    next(iter(grafana.groups.values()))["rules"][0]["provenance"] = "file"
    assert verdicts(grafana)["ql-risk"] is Verdict.FROM_FILES
    assert verdicts(grafana)["business"] is Verdict.FROM_FILES
    assert grafana.writes == ALL


def test_a_board_of_somebody_else_under_our_uid_is_not_overwritten(grafana: Grafana) -> None:
    verdicts(grafana)
    grafana.boards["ql-risk"]["dashboard"]["tags"] = ["theirs"]
    with pytest.raises(GrafanaRefused, match=r"ql-risk.*not ours"):
        verdicts(grafana)


def test_alerts_without_their_data_source_are_refused_before_anything_is_written(grafana: Grafana) -> None:
    grafana.sources.clear()
    with pytest.raises(GrafanaRefused, match="quantumleap-clickhouse"):
        verdicts(grafana)
    assert grafana.writes == 0
    assert "business" not in verdicts(grafana, with_alerts=False)


def test_a_wrong_token_is_refused_with_the_next_step(grafana: Grafana) -> None:
    with pytest.raises(GrafanaRefused, match="token"):
        push(connected(grafana.url, token="wrong"))


def test_a_grafana_that_is_away_or_busy_may_be_asked_again(grafana: Grafana) -> None:
    grafana.broken = True
    with pytest.raises(GrafanaAway, match="repeated"):
        verdicts(grafana)
    with pytest.raises(GrafanaAway, match="repeated"):
        push(connected(f"http://127.0.0.1:{choose_free()}", token=TOKEN))
    assert issubclass(GrafanaAway, CannotPush)


def test_an_interrupted_push_is_completed_by_the_next(grafana: Grafana) -> None:
    verdicts(grafana)
    for uid in ("ql-pnl", "ql-quality"):
        del grafana.boards[uid]
    found = verdicts(grafana)
    assert [uid for uid, verdict in found.items() if verdict is Verdict.CREATE] == ["ql-pnl", "ql-quality"]
