"""Settings: flags over environment over file over defaults, and nothing unknown passes in silence."""

from pathlib import Path

import pytest

from schemas.control import Mode
from streams.settings import WrongSettings, load


def test_flags_win_over_environment_over_file_over_defaults(tmp_path: Path) -> None:
    file = tmp_path / "q.toml"
    file.write_text('environment = "file"\nslot = "w7"\nsession_ms = 7000\n')
    environ = {"QL_ENVIRONMENT": "variable", "QL_SLOT": "w8"}
    found = load({"environment": "flag", "mode": None}, environ, file)
    assert (found.settings.environment, found.settings.slot, found.settings.session_ms) == ("flag", "w8", 7000)
    assert found.origins["environment"] == "flag --environment"
    assert found.origins["slot"] == "environment QL_SLOT"
    assert found.origins["session_ms"].startswith("file ")
    assert found.origins["mode"] == "default"


def test_an_unknown_variable_is_refused_with_the_nearest_name() -> None:
    with pytest.raises(WrongSettings, match="QL_ENVIROMENT is not a setting; did you mean environment"):
        load({}, {"QL_ENVIROMENT": "x"})


def test_an_unknown_name_in_the_file_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "q.toml"
    file.write_text("speed = 3\n")
    with pytest.raises(WrongSettings, match="speed in the settings file is not a setting"):
        load({}, {}, file)


@pytest.mark.parametrize("value", ["Upper", "with space", "", "9first", "a" * 32])
def test_an_environment_that_cannot_name_topics_is_refused(value: str) -> None:
    with pytest.raises(WrongSettings, match="environment"):
        load({"environment": value}, {})


def test_a_file_that_was_named_must_exist_and_a_default_one_need_not(tmp_path: Path) -> None:
    with pytest.raises(WrongSettings, match="does not exist"):
        load({}, {}, tmp_path / "missing.toml")
    assert load({}, {}).settings.mode is Mode.REPLAY


def test_a_file_that_is_not_toml_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "q.toml"
    file.write_text("environment = \n")
    with pytest.raises(WrongSettings, match="cannot be read"):
        load({}, {}, file)


def test_the_mode_may_be_written_in_any_case_and_a_wrong_one_names_its_origin() -> None:
    assert load({}, {"QL_MODE": "paper"}).settings.mode is Mode.PAPER
    with pytest.raises(WrongSettings, match="environment QL_MODE"):
        load({}, {"QL_MODE": "dream"})


def test_a_secret_is_masked_wherever_it_is_printed() -> None:
    settings = load({}, {"QL_CLICKHOUSE_PASSWORD": "hunter2"}).settings
    assert "hunter2" not in repr(settings)
    assert settings.clickhouse_password.get_secret_value() == "hunter2"


def test_paper_and_live_never_start_by_default() -> None:
    assert load({}, {}).settings.mode is Mode.REPLAY
    assert load({}, {}).settings.live_venue == ""
