"""A rehearsal passes what may be deployed, and names what is wrong with the rest."""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

import msgspec
import pytest

from schemas.control import Parameter
from schemas.market import Bar, MarketCondition
from schemas.record import Part
from streams.strategies.catalogue import BUILT_IN, GROUP, BadPlugIn, installed
from streams.strategies.plugin import Strategy, Value, Wish
from streams.strategies.rehearsal import Report, Told, validate
from tests.streams.strategies.floor import CATALOGUE, Count, Twitch, accepted, market

DAYS = 120
RECORDS: list[Told] = [
    *market(*[70 + 10 * math.sin(day / 7) + 3 * math.sin(day) for day in range(DAYS)]),
    accepted(DAYS - 1),
    *market(*[70 - 10 * math.sin(day / 7) for day in range(20)], first=DAYS),
]


def failed(strategy: Strategy[Any], *parameters: Parameter) -> set[str]:
    """Names of the tests that a strategy does not pass."""
    return {finding.test for finding in validate(strategy, RECORDS, parameters).findings}


@pytest.mark.parametrize("name", sorted(BUILT_IN))
def test_every_strategy_that_comes_with_the_engine_passes(name: str) -> None:
    report = validate(BUILT_IN[name], RECORDS)
    assert report == Report(name, len(RECORDS), report.intents, ())
    assert report.passed
    assert report.intents > 0


@pytest.mark.parametrize("name", ["raising", "flooding", "nonsense", "forgetful", "sick"])
def test_one_that_raises_or_wishes_too_much_does_not_pass(name: str) -> None:
    assert failed(CATALOGUE[name]) == {"no exception"}


def test_bad_parameters_do_not_pass() -> None:
    assert failed(BUILT_IN["moving_average_cross"], Parameter(name="fast", value="0")) == {"no exception"}


class Prophet(Twitch):
    """Remembers, in its class, the prices of every day it has ever seen, and acts on tomorrow's."""

    name = "prophet"
    seen: ClassVar[dict[int, float]] = {}

    def on_bar(self, memory: Count, bar: Bar, condition: MarketCondition | None) -> tuple[Count, Sequence[Wish]]:
        self.seen[bar.event_time_us] = float(bar.close)
        later = [price for time_us, price in self.seen.items() if time_us > bar.event_time_us]
        return memory, (Wish.towards(1.0 if sum(later) > len(later) * float(bar.close) else -1.0, "it is written"),)


def test_one_that_knows_the_future_does_not_pass() -> None:
    assert "deterministic" in failed(Prophet()) or "no look-ahead" in failed(Prophet())


class Seer(Twitch):
    """Is handed the whole recording when it begins, and peeks."""

    name = "seer"

    def on_bar(self, memory: Count, bar: Bar, condition: MarketCondition | None) -> tuple[Count, Sequence[Wish]]:
        tape = FUTURE.get()
        following = [record for record in tape if record.event_time_us > bar.event_time_us and isinstance(record, Bar)]
        up = bool(following) and following[0].close > bar.close
        return memory, (Wish.towards(1.0 if up else -1.0, "it peeked"),)


class _Tape:
    """The recording that is being played, for a strategy that gets hold of it."""

    def __init__(self) -> None:
        self.playing: Sequence[Told] = ()

    def get(self) -> Sequence[Told]:
        return self.playing


FUTURE = _Tape()


def test_one_that_gets_hold_of_the_tape_being_played_does_not_pass(monkeypatch: pytest.MonkeyPatch) -> None:
    from streams.strategies import rehearsal  # noqa: PLC0415  # its player is wrapped

    play = rehearsal._run

    def playing(strategy: Strategy[Any], records: Sequence[Told], parameters: Any, **more: Any) -> Any:
        FUTURE.playing = records
        return play(strategy, records, parameters, **more)

    monkeypatch.setattr(rehearsal, "_run", playing)
    assert failed(Seer()) == {"no look-ahead"}


class Moody(Twitch):
    """Keeps its mood in itself."""

    name = "moody"

    def __init__(self) -> None:
        self.mood = 0

    def on_bar(self, memory: Count, bar: Bar, condition: MarketCondition | None) -> tuple[Count, Sequence[Wish]]:
        self.mood += 1
        return memory, (Wish.towards(1.0 if self.mood % 7 < 3 else -1.0, "a mood"),)


def test_one_that_keeps_its_state_in_itself_does_not_pass() -> None:
    moody = Moody()
    moody.mood = 5
    assert "deterministic" in failed(moody)


class Loose(Part, frozen=True):
    """A memory that encoding does not keep: sets come back as lists."""

    things: Any = ()


class Untidy(Strategy[Loose]):
    name = "untidy"
    memory_type = Loose

    def begin(self, parameters: Mapping[str, Value]) -> Loose:
        return Loose()

    def on_bar(self, memory: Loose, bar: Bar, condition: MarketCondition | None) -> tuple[Loose, Sequence[Wish]]:
        side = 1.0 if isinstance(memory.things, set) else -1.0
        return Loose(things={1, 2}), (Wish.towards(side, "a set"),)


def test_a_memory_that_encoding_does_not_keep_does_not_pass() -> None:
    assert failed(Untidy()) == {"memory"}


class Hoarder(Strategy[Loose]):
    name = "hoarder"
    memory_type = Loose

    def begin(self, parameters: Mapping[str, Value]) -> Loose:
        return Loose()

    def on_bar(self, memory: Loose, bar: Bar, condition: MarketCondition | None) -> tuple[Loose, Sequence[Wish]]:
        return Loose(things=(*memory.things, "x" * 1000)), ()


def test_a_memory_that_grows_without_end_does_not_pass() -> None:
    assert "bounded memory" in failed(Hoarder())


class Chatty(Twitch):
    name = "chatty"

    def on_bar(self, memory: Count, bar: Bar, condition: MarketCondition | None) -> tuple[Count, Sequence[Wish]]:
        memory = msgspec.structs.replace(memory, seen=memory.seen + 1)
        return memory, [Wish.towards(side, "and yet") for side in (0.1, 0.2, 0.3)]


def test_more_intents_than_records_do_not_pass() -> None:
    assert failed(Chatty()) == {"bounded intents"}


def test_nothing_to_rehearse_on_does_not_pass() -> None:
    assert [finding.test for finding in validate(BUILT_IN["follow_signal"], []).findings] == ["records"]


PACKAGE = """
from tests.streams.strategies.floor import Twitch

class Tapping(Twitch):
    name = "tapping"

class Impostor(Twitch):
    name = "follow_signal"

a_number = 7
an_object = Twitch()
"""


def package(folder: Path, monkeypatch: pytest.MonkeyPatch, *points: str) -> None:
    """An installed package with these entry points."""
    module = f"tapping_{folder.name}"
    (folder / f"{module}.py").write_text(PACKAGE)
    metadata = folder / f"{module}-1.0.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {module}\nVersion: 1.0\n")
    lines = [f"{point} = {module}:{point}" for point in points]
    (metadata / "entry_points.txt").write_text("\n".join([f"[{GROUP}]", *lines]) + "\n")
    monkeypatch.syspath_prepend(str(folder))


def test_plug_ins_of_installed_packages_are_found_by_entry_point(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package(tmp_path, monkeypatch, "Tapping")
    found = installed()
    assert {*BUILT_IN, "tapping"} <= set(found)
    assert validate(found["tapping"], RECORDS).passed


@pytest.mark.parametrize("point", ["a_number", "an_object"])
def test_an_entry_point_to_something_else_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, point: str
) -> None:
    package(tmp_path, monkeypatch, point)
    with pytest.raises(BadPlugIn, match=point):
        installed()


def test_a_plug_in_that_takes_the_name_of_another_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    package(tmp_path, monkeypatch, "Impostor")
    with pytest.raises(BadPlugIn, match="both called follow_signal"):
        installed()
