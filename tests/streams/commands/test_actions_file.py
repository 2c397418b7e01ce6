"""A file of corporate actions is taken whole or not at all, and a file imported again says nothing again."""

from decimal import Decimal
from pathlib import Path

import pytest

from schemas.reference import CorporateAction, CorporateActionKind, Instrument
from schemas.scalars import DAY_US
from streams.accounts.shared import KnownAction
from streams.commands.actions_file import ActionsRefused, Plan, Standing, planned, read_actions
from tests.builders import instrument

HEAD = "effective,instrument_id,kind,ratio,amount,symbol,new_symbol,reason"
FIRST = 1_577_836_800_000_000
"""2020-01-01, UTC."""
KNOWN = {"WTI": instrument("WTI", symbol="CL", version=7), "BRENT": instrument("BRENT", symbol="BZ")}


def written(folder: Path, *rows: str, head: str = HEAD) -> Path:
    path = folder / "actions.csv"
    path.write_text("\n".join((head, *rows)) + "\n", encoding="utf-8")
    return path


def plan(
    path: Path, *, day: int = 1, since: int = 0, actions: dict[str, KnownAction] | None = None,
    instruments: dict[str, Instrument] = KNOWN,
) -> Plan:  # fmt: skip
    """What the file asks for at noon of a day of January, of what was effective since an earlier one."""
    now_us = FIRST + (day - 1) * DAY_US + DAY_US // 2
    since_us = FIRST + (since - 1) * DAY_US if since else 0
    return planned(read_actions(path, instruments), instruments, actions or {}, since_us=since_us, now_us=now_us)


def standings(found: Plan) -> list[tuple[int, Standing]]:
    return [(row.number, standing) for row, standing in found.rows]


def test_a_split_a_dividend_and_a_new_symbol_become_records_in_order_of_time(tmp_path: Path) -> None:
    path = written(
        tmp_path,
        "2020-01-01T08:00:00Z,WTI,SYMBOL,,,CL,WTI1,renamed",
        "2020-01-01,WTI,DIVIDEND,,0.25,,,a quarter",
        "2020-01-01,BRENT,split,4,,,,four for one",
    )
    brent, wti, renamed = plan(path).records
    assert isinstance(brent, CorporateAction)
    assert isinstance(wti, CorporateAction)
    assert isinstance(renamed, Instrument)
    assert (brent.kind, brent.ratio, brent.amount, brent.reason) == (
        CorporateActionKind.SPLIT, Decimal(4), None, "four for one",
    )  # fmt: skip
    assert (wti.kind, wti.ratio, wti.amount) == (CorporateActionKind.DIVIDEND, None, Decimal("0.25"))
    assert (renamed.symbol, renamed.version, renamed.tick_size) == ("WTI1", 8, KNOWN["WTI"].tick_size)
    assert {one.event_time_us for one in (brent, wti, renamed)} == {FIRST + DAY_US // 2}


def test_a_split_and_a_dividend_of_one_instant_are_two_actions_the_split_first(tmp_path: Path) -> None:
    rows = ("2020-01-01,WTI,DIVIDEND,,1,,,", "2020-01-01,WTI,SPLIT,2,,,,")
    split, dividend = plan(written(tmp_path, *rows)).records
    assert isinstance(split, CorporateAction)
    assert isinstance(dividend, CorporateAction)
    assert (split.kind, split.version) == (CorporateActionKind.SPLIT, FIRST)
    assert (dividend.kind, dividend.version) == (CorporateActionKind.DIVIDEND, FIRST + 1)


def test_the_same_row_in_another_order_and_file_is_the_same_action(tmp_path: Path) -> None:
    rows = ("2020-01-01,WTI,SPLIT,2,,,,", "2020-01-01,BRENT,DIVIDEND,,1,,,")
    before = plan(written(tmp_path, *rows)).records
    after = plan(written(tmp_path, "2019-12-01,WTI,DIVIDEND,,1,,,", *reversed(rows)), since=1).records
    assert set(before) == set(after)


def test_a_file_imported_twice_says_nothing_the_second_time(tmp_path: Path) -> None:
    path = written(
        tmp_path, "2020-01-01,WTI,SPLIT,2,,,,", "2020-01-01,WTI,DIVIDEND,,1,,,", "2020-01-01,BRENT,SYMBOL,,,BZ,B,"
    )
    first = plan(path)
    (renamed,) = [record for record in first.records if isinstance(record, Instrument)]
    actions = [record for record in first.records if isinstance(record, CorporateAction)]
    again = plan(
        path,
        actions={"WTI": KnownAction(max(action.version for action in actions), 1)},
        instruments={**KNOWN, "BRENT": renamed},
    )
    assert again.records == ()
    assert {standing for _, standing in standings(again)} == {Standing.KNOWN}


def test_symbols_that_changed_twice_end_at_the_newest_and_do_not_go_back_when_imported_again(tmp_path: Path) -> None:
    path = written(tmp_path, "2020-01-01,WTI,SYMBOL,,,CL,C,", "2020-01-02,WTI,SYMBOL,,,C,CL2,")
    (renamed,) = plan(path, day=2, since=1).records
    assert isinstance(renamed, Instrument)
    assert (renamed.symbol, renamed.version) == ("CL2", 8)
    assert plan(path, day=2, since=1, instruments={"WTI": renamed}).records == ()
    back = written(tmp_path, "2020-01-01,WTI,SYMBOL,,,CL,C,", "2020-01-02,WTI,SYMBOL,,,C,CL,")
    assert plan(back, day=2, since=1).records == (), "there and back is where it was"


@pytest.mark.parametrize(
    ("day", "since", "standing"),
    [(1, 2, Standing.PAST), (1, 1, Standing.PAST), (2, 2, Standing.DUE), (2, 3, Standing.PAST), (3, 2, Standing.DUE)],
)
def test_only_what_was_effective_since_the_day_asked_for_is_said(
    tmp_path: Path, day: int, since: int, standing: Standing
) -> None:
    path = written(tmp_path, "2020-01-02,WTI,SPLIT,2,,,,")
    expected = Standing.LATER if day == 1 else standing
    assert standings(plan(path, day=day, since=since)) == [(2, expected)]


def test_an_action_is_due_at_its_very_instant_and_later_one_microsecond_before(tmp_path: Path) -> None:
    rows = read_actions(written(tmp_path, "2020-01-02,WTI,SPLIT,2,,,,"), KNOWN)
    at = FIRST + DAY_US
    assert standings(planned(rows, KNOWN, {}, since_us=at, now_us=at)) == [(2, Standing.DUE)]
    assert standings(planned(rows, KNOWN, {}, since_us=0, now_us=at - 1)) == [(2, Standing.LATER)]
    assert standings(planned(rows, KNOWN, {}, since_us=at + 1, now_us=at + 1)) == [(2, Standing.PAST)]


def test_an_action_older_than_the_newest_one_known_is_left_alone(tmp_path: Path) -> None:
    path = written(tmp_path, "2020-01-01,WTI,SPLIT,2,,,,")
    assert standings(plan(path, actions={"WTI": KnownAction(FIRST - 1, 1)})) == [(2, Standing.DUE)]
    assert standings(plan(path, actions={"WTI": KnownAction(FIRST, 3)})) == [(2, Standing.KNOWN)]


@pytest.mark.parametrize(
    ("row", "why"),
    [
        ("2020-01-01,WTI,MERGER,2,,,,", "row 3: 'MERGER' is no kind of action; there are SPLIT, DIVIDEND, SYMBOL"),
        ("2020-01-01,GOLD,SPLIT,2,,,,", "row 3: nobody knows an instrument 'GOLD'"),
        ("2020-01-01,WTI,SPLIT,,,,,", "row 3: a SPLIT needs ratio"),
        ("2020-01-01,WTI,SPLIT,2,1,,,", "row 3: a SPLIT has no amount"),
        ("2020-01-01,WTI,SPLIT,0,,,,", "row 3: a SPLIT needs ratio above zero, and 0 is not"),
        ("2020-01-01,WTI,DIVIDEND,,-1,,,", "row 3: a DIVIDEND needs amount above zero, and -1 is not"),
        ("2020-01-01,WTI,SPLIT,two,,,,", "row 3: ratio: "),
        ("2020-01-01,WTI,SPLIT,NaN,,,,", "row 3: ratio: "),
        ("2020-01-01,WTI,SYMBOL,,,CL,,", "row 3: a SYMBOL needs new_symbol"),
        ("2020-01-01,WTI,SYMBOL,,,CL,CL,", "row 3: the new symbol is the one before"),
        ("01/02/2020,WTI,SPLIT,2,,,,", "row 3: effective: "),
        ("2020-02-30,WTI,SPLIT,2,,,,", "row 3: effective: "),
        ("2020-01-01T10:00:00,WTI,SPLIT,2,,,,", "row 3: effective: "),
        ("2020-01-01,WTI,SPLIT,2", "row 3: has 4 cells, not 8"),
        ("2020-01-01,BRENT,SPLIT,3,,,,", "row 3: says another SPLIT of BRENT at the time of row 2"),
        ('2020-01-01,WTI,SPLIT,2,,,,"unclosed', "row 3: it is no CSV"),
    ],
)
def test_one_bad_row_refuses_the_file_by_its_number(tmp_path: Path, row: str, why: str) -> None:
    with pytest.raises(ActionsRefused) as refused:
        read_actions(written(tmp_path, "2020-01-01,BRENT,SPLIT,2,,,,", row), KNOWN)
    assert str(refused.value).startswith(why)


def test_every_bad_row_is_counted_and_the_first_five_are_named(tmp_path: Path) -> None:
    with pytest.raises(ActionsRefused) as refused:
        read_actions(written(tmp_path, *["2020-01-01,WTI,MERGER,,,,,"] * 7), KNOWN)
    assert [f"row {number}:" in str(refused.value) for number in range(2, 9)] == [True] * 5 + [False] * 2
    assert str(refused.value).endswith("; 2 more")


@pytest.mark.parametrize(
    ("head", "why"),
    [
        ("effective,instrument_id,kind,ratio,amount,symbol", "row 1: the header lacks new_symbol"),
        (HEAD + ",price", "row 1: the header has price, which nobody knows"),
        (HEAD + ",reason", "row 1: the header names a column twice"),
        ("", "row 1: the header lacks effective"),
    ],
)
def test_a_header_that_is_not_the_documented_one_is_refused(tmp_path: Path, head: str, why: str) -> None:
    with pytest.raises(ActionsRefused, match=why):
        read_actions(written(tmp_path, head=head), KNOWN)


def test_a_file_without_rows_or_of_bytes_that_are_no_text_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ActionsRefused, match="it has no rows"):
        read_actions(written(tmp_path, "", ",,,,,,,"), KNOWN)
    path = tmp_path / "bytes.csv"
    path.write_bytes(HEAD.encode() + b"\n\xff\xfe\n")
    with pytest.raises(ActionsRefused, match="no CSV in UTF-8"):
        read_actions(path, KNOWN)


def test_a_file_of_a_spreadsheet_with_its_mark_spaces_capitals_and_blank_lines_is_read(tmp_path: Path) -> None:
    path = tmp_path / "actions.csv"
    text = "Effective, Instrument_ID ,KIND,ratio,amount,symbol,new_symbol\r\n\r\n 2020-01-01 , WTI ,Split, 2 ,,,\r\n"
    path.write_bytes(b"\xef\xbb\xbf" + text.encode())
    (row,) = read_actions(path, KNOWN)
    assert (row.number, row.instrument_id, row.kind) == (3, "WTI", "SPLIT")
