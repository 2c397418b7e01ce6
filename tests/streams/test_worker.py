"""Which roles a worker takes, and what real money needs."""

import pytest

from schemas.control import Mode
from streams.settings import load
from streams.worker import NotMeant, UnknownRoom, brokers_of, build, roles_named


def test_without_names_a_worker_runs_all_rooms_and_execution() -> None:
    rooms, executes = roles_named((), Mode.PAPER)
    assert len(rooms) == 5
    assert executes


def test_a_replay_carries_its_own_execution() -> None:
    assert roles_named((), Mode.REPLAY)[1] is False
    with pytest.raises(NotMeant, match="replay"):
        roles_named(("execution",), Mode.REPLAY)


def test_roles_are_taken_by_name() -> None:
    assert roles_named(("execution",), Mode.PAPER) == ([], True)
    rooms, executes = roles_named(("accounts", "execution"), Mode.LIVE)
    assert [room.name for room in rooms] == ["accounts"]
    assert executes
    with pytest.raises(UnknownRoom):
        roles_named(("nosuch", "execution"), Mode.PAPER)


def test_real_money_needs_the_mode_typed_out() -> None:
    settings = load({"mode": "live"}, environ={}).settings
    with pytest.raises(NotMeant, match="--mode live"):
        build(settings, ("execution",))


def test_without_brokers_paper_trades_on_paper_and_live_not_at_all() -> None:
    assert list(brokers_of(load({"mode": "paper"}, environ={}).settings)) == ["PAPER"]
    with pytest.raises(NotMeant):
        brokers_of(load({"mode": "live"}, environ={}).settings)
