"""`quantumleap stats FILE.csv`: what is read, and that a wrong file is refused with its lines."""

import json
from pathlib import Path

import pytest

from streams.commands.stats_of_file import read_series, stats_of_file
from streams.pnl.performance.series_file import SHOWN, UnreadableSeries, parse_series, time_of

WEEKLY = "time,return\n" + "".join(
    f"2024-01-{day:02d},{value}\n"
    for day, value in zip((1, 8, 15, 22, 29), ("0", "0.01", "0.1", "", "-0.04"), strict=True)
)


def csv_of(folder: Path, text: str | bytes, name: str = "series.csv") -> Path:
    path = folder / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def test_a_file_of_returns_becomes_every_statistic(tmp_path: Path) -> None:
    found = stats_of_file(csv_of(tmp_path, WEEKLY))
    json.dumps(found, allow_nan=False)
    assert (found["file"], found["kind"], found["period"]) == ("series.csv", "return", "weekly")
    assert (found["rows"], found["n"], found["missing"]) == (5, 4, 1)
    assert found["total_return"] == pytest.approx(1.01 * 1.1 * 0.96 - 1)
    assert found["cagr"] == pytest.approx((1.01 * 1.1 * 0.96) ** (52 / 5) - 1)
    assert found["statistics"]["sharpe"]["shown"] == "n < 30"


def test_a_file_of_equity_against_a_benchmark(tmp_path: Path) -> None:
    equity = csv_of(tmp_path, "date,equity\n2024-01-01,100\n2024-01-02,102\n2024-01-03,101\n")
    market = csv_of(tmp_path, "time,equity\n2024-01-01,10\n2024-01-02,10.1\n2024-01-03,10.05\n", "market.csv")
    found = stats_of_file(equity, "calendar_daily", market)
    assert (found["kind"], found["rows"], found["periods_per_year"]) == ("equity", 2, 365.0)
    assert found["benchmark"] == "market.csv"
    assert found["beta"] is not None


@pytest.mark.parametrize(
    ("text", "kind", "values"),
    [
        ("\ufefftime,return\r\n2024-01-01,0.5\r\n\r\n2024-01-02,1e-3\r\n", "return", [0.5, 0.001]),
        ('Date,Returns,note\n2024-01-01,-0.5,"a, b"\n', "return", [-0.5]),
        ("equity,timestamp\n100,20240101\n101.5,20240102\n", "equity", [100.0, 101.5]),
        ("time,return\n", "return", []),
    ],
)
def test_the_usual_spellings_of_a_csv_are_read(text: str, kind: str, values: list[float]) -> None:
    series = parse_series(text.encode(), "x")
    assert (series.kind, series.values.tolist()) == (kind, values)


def test_times_with_and_without_offset_and_counts_are_utc() -> None:
    noon = 1_704_110_400_000_000
    for text in (
        "2024-01-01T12:00:00",
        "2024-01-01 12:00:00Z",
        "2024-01-01T14:00:00+02:00",
        "1704110400",
        "1704110400000",
        "1704110400000000",
        "1704110400000000000",
    ):
        assert time_of(text) == noon, text


def test_missing_values_have_the_usual_names() -> None:
    words = ["", "nan", "NaN", "null", "None", "NA", "n/a"]
    rows = "".join(f"2024-01-{day:02d},{word}\n" for day, word in enumerate(words, 1))
    assert parse_series(f"time,return\n{rows}".encode(), "x").as_returns().values.tolist() == pytest.approx(
        [float("nan")] * 7, nan_ok=True
    )


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "the file is empty"),
        ("time,price\n2024-01-01,1\n", "needs one column of time"),
        ("time,return,equity\n2024-01-01,1,1\n", "needs one column of time"),
        ("2024-01-01,0.1\n", "needs one column of time"),
        ("time,return\nyesterday,0.1\n", "line 2: time 'yesterday' is not ISO 8601"),
        ("time,return\n2024-01-01,1.5%\n", "line 2: value '1.5%' is not a number"),
        ("time,return\n2024-01-01,1_0\n", "line 2: value '1_0' is not a finite number"),
        ("time,return\n2024-01-01,inf\n", "line 2: value 'inf' is not a finite number"),
        ("time,return\n2024-01-01,0.1,9\n", "line 2: 3 cells for 2 columns"),
        ("time,return\n2024-01-01\n", "line 2: 1 cells for 2 columns"),
        ("time,return\n2024-01-02,0.1\n2024-01-01,0.1\n", "line 3: 2024-01-01 is before 2024-01-02"),
        ("time,return\n2024-01-02,0.1\n\n2024-01-02,0.1\n", "line 4: 2024-01-02 is already the time of row 1"),
        ("time,equity\n2024-01-01,100\n2024-01-02,-36.98\n", "line 3: equity of -36.98 has no return"),
        ("time,return\n2024-01-01,-1.01\n", "line 2: a return of -1.01 loses more than everything"),
        ('time,return\n2024-01-01,"0.1\n', "cannot be read as CSV"),
        ('time,return\n"2024-01-01"x,0.1\n', "cannot be read as CSV"),
        (b"time,return\n2024-01-01,\xff\n", "cannot be read as CSV in UTF-8"),
        ("time,return\n2024-01-01," + "9" * 200_000 + "\n", "cannot be read as CSV"),
    ],
)
def test_a_wrong_file_is_refused_with_its_line(tmp_path: Path, text: str | bytes, why: str) -> None:
    with pytest.raises(UnreadableSeries) as refusal:
        read_series(csv_of(tmp_path, text))
    assert why in str(refusal.value)
    assert str(refusal.value).startswith("series.csv: ")


def test_every_bad_line_is_reported_up_to_a_limit() -> None:
    text = "time,return\n" + "".join(f"2024-01-01,bad{row}\n" for row in range(SHOWN + 5))
    with pytest.raises(UnreadableSeries, match=r"line 21: .*; and 5 more") as refusal:
        parse_series(text.encode(), "x")
    assert [line for line, _ in refusal.value.bad] == list(range(2, SHOWN + 2))


def test_a_file_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UnreadableSeries, match=r"gone\.csv: cannot be opened"):
        stats_of_file(tmp_path / "gone.csv")
