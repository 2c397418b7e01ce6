"""Schema ids outlive the registry's absence, and never a change of the schema."""

import json
from pathlib import Path

import pytest

from connectors.registry.remembered import recall, remember
from schemas.codec import Codec
from schemas.control import ClockTick, KillSwitch
from schemas.record import record_name
from schemas.topics import records
from tests.builders import tick


def test_what_was_remembered_reads_what_was_written_under_it(tmp_path: Path) -> None:
    ids = {cls: number for number, cls in enumerate(records(), 100)}
    remember(ids, tmp_path / "new" / "ids.json")
    assert recall(tmp_path / "new" / "ids.json") == ids
    assert Codec(recall(tmp_path / "new" / "ids.json")).decode(Codec(ids).encode(tick(5))) == tick(5)


def test_the_id_of_a_schema_that_changed_since_is_forgotten(tmp_path: Path) -> None:
    path = tmp_path / "ids.json"
    remember({ClockTick: 1, KillSwitch: 2}, path)
    kept = json.loads(path.read_text())
    kept[record_name(ClockTick)]["schema"] = "another"
    path.write_text(json.dumps(kept))
    assert recall(path) == {KillSwitch: 2}


@pytest.mark.parametrize("text", ["", "{", "[]", '{"quantumleap.ClockTick": 1}'])
def test_a_damaged_file_remembers_nothing(tmp_path: Path, text: str) -> None:
    (tmp_path / "ids.json").write_text(text)
    assert recall(tmp_path / "ids.json") == {}


def test_no_file_remembers_nothing(tmp_path: Path) -> None:
    assert recall(tmp_path / "ids.json") == {}
