"""Strategies from the command line: rehearsed before they are deployed, asked and answered while they run."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from connectors.embedded.ports import choose_free
from tests.streams.commands.desk import COMMAND, Desk, open_desk, stopped
from tests.streams.commands.test_command_line import quantumleap

QUARTER = ("--from", "2019-01-01", "--to", "2019-03-31")
HERE = ("--instrument", "WTI", "--account", "A")


def test_every_installed_strategy_is_listed_with_its_parameters(tmp_path: Path) -> None:
    listed = json.loads(quantumleap("strategy", "list", "--json", cwd=tmp_path).stdout)
    assert {one["strategy"] for one in listed} >= {"buy_and_hold", "follow_signal", "moving_average_cross"}
    assert {"fast", "slow", "restate_bars"} <= {
        one["parameter"] for one in listed if one["strategy"] == "moving_average_cross"
    }


def test_a_rehearsal_says_what_it_found_on_each_instrument(tmp_path: Path) -> None:
    said = quantumleap("strategy", "validate", "moving_average_cross", *QUARTER, "--json", cwd=tmp_path)
    assert said.returncode == 0, said.stderr
    assert [(one["instrument"], one["passed"]) for one in json.loads(said.stdout)] == [("BRENT", True), ("WTI", True)]


@pytest.mark.parametrize(
    ("words", "code", "says"),
    [
        (("validate", "moving_average_cross", "--set", "fast=0"), 1, "fast is 1 to 250"),
        (("validate", "nosuch"), 6, "installed are"),
        (("validate", "buy_and_hold", "--instrument", "GOLD"), 6, "there are BRENT, WTI"),
        (("deploy", "moving_average_cross", *HERE, "--set", "fast=0"), 1, "nothing was deployed"),
        (("deploy", "moving_average_cross", *HERE, "--set", "fast"), 2, "--set fast cannot be read"),
        (("change", "one"), 2, "nothing is to be changed"),
    ],
)
def test_what_must_not_run_is_refused_before_anything_is_asked(
    tmp_path: Path, words: tuple[str, ...], code: int, says: str
) -> None:
    """No server is there: it was not needed to say no."""
    window = QUARTER if words[0] in ("validate", "deploy") else ()
    ended = quantumleap("strategy", *words, *window, cwd=tmp_path)
    assert ended.returncode == code, ended.stderr
    assert says in ended.stderr


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    """A desk whose strategies room runs and has heard of no instrument."""
    with open_desk(tmp_path_factory.mktemp("desk")) as opened:
        opened.variables["QL_HEALTH_PORT"] = str(choose_free())
        worker = opened.begun(COMMAND, "worker", "strategies")
        yield opened
        assert stopped(worker) == 0


@pytest.mark.servers
@pytest.mark.slow
def test_an_instance_is_deployed_paused_resumed_changed_and_stopped_by_typing(desk: Desk) -> None:
    deployed = desk.json(
        "strategy", "deploy", "moving_average_cross", *HERE, *QUARTER, "--set", "fast=5", "--wait", "90"
    )
    assert deployed["answer"]["change"] == "DEPLOYED"
    one = deployed["answer"]["strategy_id"]
    assert one == "moving-average-cross.wti.a"
    assert {"name": "fast", "value": "5"} in deployed["answer"]["parameters"]
    asked = [
        (("pause", one), "PAUSED"),
        (("resume", one), "RESUMED"),
        (("change", one, "--set", "fast=7"), "CHANGED"),
        (("stop", one), "STOPPED"),
    ]
    for words, change in asked:
        assert desk.json("strategy", *words, "--wait", "60")["answer"]["change"] == change


@pytest.mark.servers
@pytest.mark.slow
def test_a_request_that_cannot_be_done_says_why(desk: Desk) -> None:
    ended = desk.ask("strategy", "deploy", "buy_and_hold", *HERE, "--id", "held", *QUARTER, "--wait", "90")
    assert "held DEPLOYED" in ended.stdout
    again = desk.ask("strategy", "deploy", "buy_and_hold", *HERE, "--id", "held", *QUARTER, "--wait", "60", code=1)
    assert "ALREADY_DEPLOYED" in again.stderr
    wrong = desk.ask("strategy", "change", "held", "--set", "weight=7", "--wait", "60", code=1)
    assert "BAD_PARAMETER" in wrong.stderr


@pytest.mark.servers
@pytest.mark.slow
def test_the_same_request_twice_is_one_and_gives_the_same_answer(desk: Desk) -> None:
    desk.ask("strategy", "deploy", "buy_and_hold", *HERE, "--id", "twice", *QUARTER, "--wait", "90")
    first = desk.json("strategy", "pause", "twice", "--request-id", "p1", "--wait", "60")
    assert desk.json("strategy", "pause", "twice", "--request-id", "p1", "--wait", "60")["answer"] == first["answer"]


@pytest.mark.servers
@pytest.mark.slow
@pytest.mark.parametrize("words", [("pause",), ("resume",), ("stop",), ("change", "--set", "weight=1")])
def test_what_is_asked_of_an_instance_that_nobody_knows_is_refused_as_unknown(
    desk: Desk, words: tuple[str, ...]
) -> None:
    ended = desk.ask("strategy", words[0], "nosuch", *words[1:], "--wait", "90", code=6)
    assert "UNKNOWN_INSTANCE" in ended.stderr


@pytest.mark.servers
@pytest.mark.slow
def test_where_nobody_answers_the_request_is_written_and_it_is_said_so(desk: Desk) -> None:
    ended = desk.ask("strategy", "pause", "none", "--wait", "0", code=8)
    assert "is written and not lost" in ended.stderr
