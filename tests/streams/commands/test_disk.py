"""Commands that write, on a disk that is full, closed or damaged: one message, the right code, nothing half-written."""

import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from streams.commands.files import write_whole
from streams.commands.outcome import Exit, Stop
from streams.commands.run import _order
from streams.commands.servers import Addresses
from streams.settings import load
from tests.streams.commands.test_command_line import quantumleap

Disk = Callable[..., Path]


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Disk]:
    """Makes file systems of their own; `options` are those of mount."""
    made: list[Path] = []

    def make(options: str) -> Path:
        place = tmp_path / f"disk{len(made)}"
        place.mkdir()
        command = ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(place)]
        if subprocess.run(command, capture_output=True, check=False).returncode != 0:
            pytest.skip("this user may not mount a small file system")
        made.append(place)
        return place

    yield make
    for place in made:
        subprocess.run(["umount", str(place)], check=True)


def files(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()]


def hold_to_its_word(ended: "subprocess.CompletedProcess[str]", code: Exit, says: str) -> None:
    errors = [line for line in ended.stderr.splitlines() if line.startswith("error: ")]
    assert len(errors) == 1, ended.stderr
    assert says in ended.stderr
    assert "next: " in ended.stderr
    assert "Traceback" not in ended.stderr
    assert ended.stdout == ""
    assert ended.returncode == code, ended.stderr


def many_rows(path: Path, rows: int) -> Path:
    lines = [f"{1980 + n // 250}-{1 + n % 250 // 28:02}-{1 + n % 250 % 28:02},10,12,9,11,100" for n in range(rows)]
    path.write_text("\n".join(["Date,Open,High,Low,Close,Volume", *lines]) + "\n")
    return path


def test_a_set_that_does_not_fit_on_the_disk_is_not_imported_by_half(tmp_path: Path, disk: Disk) -> None:
    source, full = many_rows(tmp_path / "acme.csv", 10_000), disk("size=64k")
    ended = quantumleap("data", "import", str(source), "--name", "acme", cwd=tmp_path, QL_FOLDER=str(full))
    hold_to_its_word(ended, Exit.FAILURE, "No space left")
    assert files(full) == []


def test_a_set_is_not_imported_into_a_closed_folder(tmp_path: Path, disk: Disk) -> None:
    source, closed = many_rows(tmp_path / "acme.csv", 2), disk("ro")
    ended = quantumleap("data", "import", str(source), "--name", "acme", cwd=tmp_path, QL_FOLDER=str(closed))
    hold_to_its_word(ended, Exit.CONFIG, "Read-only")


@pytest.mark.parametrize("command", ["up", "run"])
def test_servers_do_not_begin_on_a_full_disk(tmp_path: Path, disk: Disk, command: str) -> None:
    full = disk("size=2m")
    ended = quantumleap(command, cwd=tmp_path, QL_FOLDER=str(full))
    hold_to_its_word(ended, Exit.FAILURE, "has no room")
    assert [path for path in files(full) if path.stat().st_size] == []


@pytest.mark.parametrize("command", ["up", "run"])
def test_servers_do_not_begin_in_a_closed_folder(tmp_path: Path, disk: Disk, command: str) -> None:
    ended = quantumleap(command, cwd=tmp_path, QL_FOLDER=str(disk("ro")))
    hold_to_its_word(ended, Exit.CONFIG, "cannot be written")


def test_doctor_names_a_full_disk(tmp_path: Path, disk: Disk) -> None:
    ended = quantumleap("doctor", cwd=tmp_path, QL_FOLDER=str(disk("size=2m")))
    assert ended.returncode != Exit.OK
    assert "MiB free" in ended.stdout
    assert "free at least" in ended.stdout + ended.stderr


def test_a_file_that_does_not_fit_leaves_the_one_before(disk: Disk) -> None:
    page = disk("size=64k") / "report.html"
    write_whole(page, "yesterday")
    with pytest.raises(Stop, match="cannot be written whole") as stopped:
        write_whole(page, "x" * 100_000)
    assert stopped.value.code is Exit.FAILURE
    assert page.read_text() == "yesterday"
    assert files(page.parent) == [page]


def test_a_file_in_a_folder_that_is_a_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "reports").write_text("in the way")
    with pytest.raises(Stop, match="cannot be written") as stopped:
        write_whole(tmp_path / "reports" / "report.html", "today")
    assert stopped.value.code is Exit.CONFIG


@pytest.mark.servers
@pytest.mark.parametrize(
    ("damaged", "says"),
    [
        ("registry/registry.sqlite", "schema registry cannot open"),
        ("kafka", "kafka"),
    ],
)
def test_up_on_a_damaged_folder_says_which(tmp_path: Path, damaged: str, says: str) -> None:
    folder = tmp_path / "data"
    (folder / damaged).parent.mkdir(parents=True)
    (folder / damaged).write_bytes(b"this is not a database, " * 100)
    ended = quantumleap("up", cwd=tmp_path, QL_FOLDER=str(folder), QL_KAFKA_PORT="0", QL_REGISTRY_PORT="0")
    quantumleap("down", cwd=tmp_path, QL_FOLDER=str(folder))
    hold_to_its_word(ended, Exit.CONFIG if damaged == "kafka" else Exit.FAILURE, says)


def test_without_java_or_jars_up_says_what_to_name(tmp_path: Path) -> None:
    """Offline: no proxy answers, and the cache is empty."""
    ended = quantumleap(
        "up",
        cwd=tmp_path,
        XDG_CACHE_HOME=str(tmp_path / "cache"),
        HOME=str(tmp_path / "home"),
        QL_KAFKA_PORT="0",
        https_proxy="http://127.0.0.1:9",
        http_proxy="http://127.0.0.1:9",
        HTTPS_PROXY="http://127.0.0.1:9",
        HTTP_PROXY="http://127.0.0.1:9",
    )
    hold_to_its_word(ended, Exit.UNREACHABLE, "QL_KAFKA_DIR")
    assert [path for path in files(tmp_path / ".quantumleap") if path.stat().st_size] == []


def test_a_folder_whose_order_cannot_be_read_is_not_taken_for_an_empty_one(tmp_path: Path) -> None:
    (tmp_path / "replay").mkdir()
    (tmp_path / "replay/order.json").write_text('{"data": "oi')
    chosen = load({"folder": tmp_path}, environ={}).settings
    with pytest.raises(Stop, match="cannot be read") as stopped:
        _order(chosen, Addresses("127.0.0.1:1", "", ""), ("oil", "2020-01-01", "2020-01-31", None, "1", 0.0))
    assert stopped.value.code is Exit.FAILURE
    assert "--folder" in stopped.value.next_step
