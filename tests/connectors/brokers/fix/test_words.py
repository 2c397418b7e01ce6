"""FIX's words are ours, all of them, and a message that lacks what it must have is not guessed at."""

import pytest

from connectors.brokers.fix import words
from connectors.brokers.fix.fields import BadMessage, Fields, text_of, time_text
from connectors.brokers.fix.words import EXEC_TYPES, SIDES, STATUSES, TIMES, TYPES, Speaker
from schemas.order import ExecType, OrderStatus, OrderType, Side, TimeInForce
from tests.connectors.brokers.orders import buy, limit, stop_limit

SAY = Speaker("FIXVENUE", "alice", "TEAPOT")
TRADE = (
    "8=FIX.4.4|9=1|35=8|34=7|37=o-1|11=a|17=e-1|150=F|39=1|1=PA1|55=TPT|54=1|38=10|40=2|44=90.5|151=6|14=4|6=90.333333|"
    "32=4|31=90.25|60=20240923-15:30:48.601|58=hello|12=0.1|479=USD|851=2|10=000|"
)


def fields(text: str) -> Fields:
    return Fields.parse(text.replace("|", "\x01"))


def test_every_exec_type_but_ours_is_a_word_of_fix() -> None:
    ours = {ExecType.UNKNOWN, ExecType.CANCEL_REJECTED, ExecType.REPLACE_REJECTED}
    assert set(EXEC_TYPES.values()) == set(ExecType) - ours


def test_every_order_status_but_ours_is_a_word_of_fix() -> None:
    assert set(STATUSES.values()) == set(OrderStatus) - {OrderStatus.DENIED, OrderStatus.UNKNOWN}


def test_every_side_type_and_time_has_its_word() -> None:
    assert set(SIDES) == set(Side)
    assert set(TYPES) == set(OrderType) - {OrderType.TRAILING_STOP}
    assert set(TIMES) == set(TimeInForce)


def test_a_trade_is_read_to_the_last_digit() -> None:
    report = SAY.report(fields(TRADE), "e-1")
    told = (report.last_quantity, report.last_price, report.cumulative_quantity, report.leaves_quantity, report.fee)
    assert [str(number) for number in told] == ["4", "90.25", "4", "6", "0.1"]
    assert report.event_time_us == 1_727_105_448_601_000
    assert (report.client_order_id, report.broker_order_id, report.fee_currency) == ("a", "o-1", "USD")


@pytest.mark.parametrize(
    ("was", "becomes"),
    [
        ("|14=4|", "|"),
        ("|14=4|", "|14=NaN|"),
        ("|14=4|", "|14=four|"),
        ("|14=4|", f"|14={'9' * 400}|"),
        ("|32=4|", "|32=0|"),
        ("|31=90.25|", "|"),
        ("|11=a|", "|"),
        ("|54=1|", "|54=9|"),
        ("|150=F|", "|150=Z|"),
        ("|39=1|", "|39=Z|"),
        ("|60=20240923-15:30:48.601|", "|60=yesterday|"),
    ],
)
def test_a_trade_that_lacks_what_it_must_have_is_not_read(was: str, becomes: str) -> None:
    assert was in TRADE
    with pytest.raises(BadMessage):
        SAY.report(fields(TRADE.replace(was, becomes)), "e-1")


def test_a_trade_that_cannot_be_read_puts_its_order_in_doubt() -> None:
    report = words.in_doubt(fields(TRADE.replace("|31=90.25|", "|")), "FIXVENUE", "alice", "no price")
    assert (report.exec_type, report.client_order_id, report.code) == (ExecType.UNKNOWN, "a", "UNREADABLE")


def test_an_average_that_cannot_be_carried_spoils_no_trade() -> None:
    assert SAY.report(fields(TRADE.replace("|6=90.333333|", "|6=NaN|")), "e-1").average_price is None


def test_a_rejected_cancel_is_known_by_the_request_that_it_answers() -> None:
    told = fields("35=9|37=o-1|11=c|41=a|39=2|434=1|102=0|58=too late|")
    report = SAY.report(told, words.exec_id_of(told))
    assert (report.exec_type, report.exec_id) == (ExecType.CANCEL_REJECTED, "c:REJECTED")
    assert (report.client_order_id, report.original_client_order_id, report.code) == ("c", "a", "FIX_0")


def test_a_state_has_no_exec_id_of_its_own() -> None:
    assert words.exec_id_of(fields(TRADE.replace("150=F", "150=I"))) == ""


def test_a_new_order_says_all_its_terms() -> None:
    command = buy("a", "1.50", post_only=True, **stop_limit("91", "90.10"))
    pairs = dict(words.new_order(words.terms_of(command), "PA1", 1_727_105_448_601_999, None))
    assert pairs == {
        35: "D", 11: "a", 1: "PA1", 55: "TPT", 54: "1", 60: "20240923-15:30:48.601", 38: "1.5", 40: "4", 59: "1",
        44: "90.1", 99: "91", 18: "6",
    }  # fmt: skip


def test_an_order_that_must_not_take_says_so_again_when_it_is_replaced() -> None:
    for ours in (
        words.terms_of(buy("a", post_only=True, **limit("90"))),
        words.terms_told(fields(TRADE.replace("|59=", "|").replace("|40=2|", "|40=2|18=G 6|")), "alice", "TEAPOT"),
    ):
        assert dict(words.replace_order(ours, "a", "PA1", 0))[18] == "6"
    assert 18 not in dict(words.replace_order(words.terms_of(buy("a", **limit("90"))), "a", "PA1", 0))


def test_the_terms_of_a_strange_order_are_read_from_what_is_told_of_it() -> None:
    told = fields(TRADE.replace("|40=2|", "|"))
    terms = words.terms_told(told, "alice", "TEAPOT")
    assert terms.order_type is OrderType.LIMIT
    assert words.cancel_order(terms, "c", "PA1", 0)[1:4] == [(41, "a"), (37, "o-1"), (11, "c")]


def test_numbers_and_times_are_written_as_fix_writes_them() -> None:
    quantity = buy("a", "1E+3", **limit("90")).quantity
    assert text_of(quantity) == "1000"
    assert time_text(0) == "19700101-00:00:00.000"
