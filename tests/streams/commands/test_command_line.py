"""The command line: clear errors, right exit codes, data on stdout and all else on stderr."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.paths import ROOT

COMMAND = Path(sys.executable).parent / "quantumleap"
MUTED = ("provider", "set", "o", "--role", "muted", "--reason", "x")


def quantumleap(*words: str, cwd: Path, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run the command as a user does."""
    environ = {name: value for name, value in os.environ.items() if not name.startswith("QL_")} | variables
    return subprocess.run(
        [str(COMMAND), *words], cwd=cwd, env=environ, capture_output=True, text=True, timeout=300, check=False
    )


def test_no_words_print_the_help(tmp_path: Path) -> None:
    ended = quantumleap(cwd=tmp_path)
    assert "quantumleap run" in ended.stderr + ended.stdout


HEAVY = {"chdb", "clickhouse_connect", "confluent_kafka", "fastavro", "faust", "httpx", "numpy", "pydantic", "rich"}
"""Packages without which help is quick: each takes a tenth of a second to load."""
ALL_HELP = """
import sys
from typer.main import get_command
from streams.cli import app

def told(command, words):
    try:
        app([*words, "--help"])
    except SystemExit as ended:
        assert ended.code == 0, words
    for name, part in getattr(command, "commands", {}).items():
        told(part, [*words, name])

told(get_command(app), [])
print("loaded:", *sorted(set(sys.argv[1:]) & set(sys.modules)))
"""


def test_help_of_no_command_loads_a_heavy_package(tmp_path: Path) -> None:
    told = subprocess.run(
        [sys.executable, "-c", ALL_HELP, *HEAVY], cwd=tmp_path, capture_output=True, text=True, timeout=120, check=True
    )
    assert "Register every schema" in told.stdout
    assert told.stdout.splitlines()[-1] == "loaded:"


@pytest.mark.parametrize(
    ("words", "variables", "code", "says"),
    [
        (("data", "verify", "nosuch"), {}, 6, "no data set 'nosuch'"),
        (("config", "show"), {"QL_ENVIROMENT": "x"}, 3, "did you mean environment"),
        (("config", "show"), {"QL_SESSION_MS": "soon"}, 3, "session_ms"),
        (("sql", "select 1"), {}, 4, "no ClickHouse runs"),
        (("sql", "select 1"), {"QL_CLICKHOUSE_URL": "http://127.0.0.1:9"}, 4, "does not answer"),
        (("topics", "diff"), {}, 4, "no Kafka runs"),
        (("schemas", "register"), {}, 4, "no schema registry runs"),
        (("schemas", "register"), {"QL_REGISTRY_URL": "http://127.0.0.1:9"}, 4, "127.0.0.1:9"),
        (("stats", "missing.csv"), {}, 6, "missing.csv does not exist"),
        (("backtest", "--from", "tomorrow"), {}, 2, "--from tomorrow is not a day"),
        (("backtest", "--from", "2020-01-02", "--to", "2020-01-01"), {}, 2, "is after --to"),
        (("backtest", "--cash", "lots"), {}, 2, "--cash lots is not an amount"),
        (("backtest", "--cash", "-5"), {}, 2, "not a positive amount"),
        (("backtest", "--data", "nosuch"), {}, 6, "no data set 'nosuch'"),
        (("backtest", "--strategy", "nosuch"), {}, 6, "there is no strategy 'nosuch'"),
        (("backtest", "--flag"), {}, 2, "No such option"),
        ((*MUTED, "--public-key", "y"), {}, 2, "no Ed25519 key"),
        ((*MUTED, "--public-key", ""), {}, 2, "--no-key asks for no signatures"),
        ((*MUTED, "--public-key", "y", "--no-key"), {}, 2, "exclude each other"),
        (("run", "--mode", "paper", "--speed", "51"), {}, 2, "too fast for wall time"),
        (("run", "--mode", "live"), {}, 3, "never trades live"),
    ],
)
def test_an_error_says_what_and_ends_with_its_code(
    tmp_path: Path, words: tuple[str, ...], variables: dict[str, str], code: int, says: str
) -> None:
    ended = quantumleap(*words, cwd=tmp_path, **variables)
    assert says in ended.stderr
    assert ended.returncode == code
    assert "Traceback" not in ended.stderr
    assert ended.stdout == ""


def test_data_goes_to_stdout_as_json(tmp_path: Path) -> None:
    listed = json.loads(quantumleap("data", "list", "--json", cwd=tmp_path).stdout)
    assert [one["name"] for one in listed] == ["oil"]
    topics = json.loads(quantumleap("topics", "list", "--json", cwd=tmp_path).stdout)
    assert topics[0]["topic"] == "market.ticks"


def test_the_shipped_data_is_unaltered(tmp_path: Path) -> None:
    assert quantumleap("data", "verify", "oil", cwd=tmp_path).returncode == 0


def test_settings_show_their_origin_and_mask_secrets(tmp_path: Path) -> None:
    (tmp_path / "quantumleap.toml").write_text('environment = "desk"\n')
    shown = quantumleap("config", "show", "--json", cwd=tmp_path, QL_CLICKHOUSE_PASSWORD="hunter2")
    assert json.loads(shown.stdout)["environment"] == {"value": "desk", "origin": "file quantumleap.toml"}
    assert "hunter2" not in shown.stdout


def test_statistics_of_a_file_with_a_bad_row_name_the_row(tmp_path: Path) -> None:
    (tmp_path / "r.csv").write_text("time,return\n2020-01-01,0.1\n2020-01-02,ten\n")
    ended = quantumleap("stats", "r.csv", cwd=tmp_path)
    assert ended.returncode == 1
    assert "line 3" in ended.stderr


def test_the_schemas_in_the_repository_are_what_the_records_say(tmp_path: Path) -> None:
    assert quantumleap("schemas", "check", cwd=tmp_path).returncode == 0


ROWS = ["Date,Open,High,Low,Close,Volume", "2020-01-02,10,12,9,11,100", "2020-01-03,11,13,10,12,200"]


def test_a_file_is_imported_and_replayed(tmp_path: Path) -> None:
    (tmp_path / "acme.csv").write_text("\n".join(ROWS) + "\n")
    imported = json.loads(quantumleap("data", "import", "acme.csv", "--name", "acme", "--json", cwd=tmp_path).stdout)
    assert [one["rows"] for one in imported["files"]] == [2]
    replayed = quantumleap(
        "backtest", "--data", "acme", "--from", "2020-01-01", "--to", "2020-01-05", "--json", cwd=tmp_path
    )
    assert json.loads(replayed.stdout)["bars"] == 2


def test_a_bad_row_is_named_and_nothing_is_imported(tmp_path: Path) -> None:
    (tmp_path / "acme.csv").write_text("\n".join([*ROWS, "2020-01-06,1,2,3,many,5"]) + "\n")
    ended = quantumleap("data", "import", "acme.csv", "--name", "acme", cwd=tmp_path)
    assert ended.returncode == 1
    assert "row 4" in ended.stderr
    assert "acme" not in quantumleap("data", "list", cwd=tmp_path).stdout


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    ended = quantumleap("data", "import", "gone.csv", "--name", "gone", cwd=tmp_path)
    assert (ended.returncode, "gone.csv" in ended.stderr) == (6, True)


def test_a_published_version_is_fixed_for_ever(tmp_path: Path) -> None:
    shutil.copytree(ROOT / "schemas", tmp_path / "schemas", ignore=shutil.ignore_patterns("__pycache__", "PUBLISHED"))

    def schemas(*words: str) -> subprocess.CompletedProcess[str]:
        """The command on the copy, which stands first where Python looks for modules."""
        command = [sys.executable, "-m", "streams.cli", "schemas", *words]
        return subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=120, check=False)

    marker, bar = tmp_path / "schemas/avro/PUBLISHED", tmp_path / "schemas/avro/quantumleap.Bar/v1.avsc"
    assert "quantumleap.Bar/v1.avsc" in schemas("publish", "--dry-run").stdout.split()
    assert not marker.exists()
    assert "quantumleap.Bar/v1.avsc" in schemas("publish").stdout.split()
    assert "quantumleap.Bar/v1.avsc" in marker.read_text()
    assert schemas("publish").stdout == ""

    text = bar.read_text()
    bar.write_text(text.replace("quantumleap", "quantumleaps", 1))
    for words in (("generate",), ("publish",)):
        ended = schemas(*words)
        assert (ended.returncode, ended.stdout) == (1, "")
        assert "published and was edited" in ended.stderr
        assert "Traceback" not in ended.stderr
