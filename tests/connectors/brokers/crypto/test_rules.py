"""Ids, balances and the rules for real money, without a venue."""

import asyncio
import base64
from collections.abc import Awaitable, Callable
from decimal import Decimal as D
from typing import Any
from uuid import RFC_4122, UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.brokers.crypto import CryptoAccount, CryptoBroker, CryptoSettings, words
from connectors.brokers.crypto.account import Account
from connectors.brokers.crypto.calls import change
from connectors.brokers.crypto.dialects import UnfitId, from_uuid, uuid_of
from connectors.brokers.crypto.words import Unreadable
from connectors.errors import Refused
from schemas.control import Mode
from streams.accounts.wishes import order_id
from tests.connectors.brokers.orders import buy, limit

LIVE = frozenset({Mode.LIVE})


@given(st.binary(min_size=16, max_size=16))
def test_an_id_of_ours_is_a_uuid_there_and_itself_again_here_and_looks_like_nobody_elses(bits: bytes) -> None:
    ours = "ql-" + base64.b32encode(bits).decode().rstrip("=").lower()
    theirs = uuid_of(ours)
    assert len(theirs) in (32, 36)
    assert from_uuid(theirs) == ours
    assert UUID(theirs).variant != RFC_4122 or not 1 <= (UUID(theirs).version or 0) <= 8


@given(st.text())
def test_an_order_id_as_it_is_made_comes_back_as_it_is(cause: str) -> None:
    ours = order_id("account", cause)
    assert from_uuid(uuid_of(ours)) == ours


@given(st.uuids(), st.integers(1, 8))
def test_a_uuid_that_others_make_is_not_taken_for_an_id_of_ours(made: UUID, version: int) -> None:
    digits = f"{made.hex[:12]}{version:x}{made.hex[13:16]}{int(made.hex[16], 16) & 3 | 8:x}{made.hex[17:]}"
    for text in (digits, str(UUID(digits)), digits.upper()):
        assert from_uuid(text) == text


@given(st.uuids())
def test_a_uuid_with_dashes_that_we_would_not_send_so_is_not_ours(any_one: UUID) -> None:
    ours = from_uuid(str(any_one))
    assert ours == str(any_one) or uuid_of(ours) == str(any_one)


@pytest.mark.parametrize("name", ["a", "eighteen-character"])
def test_a_short_name_goes_as_it_is(name: str) -> None:
    assert uuid_of(name) == from_uuid(name) == name


@pytest.mark.parametrize("name", ["nineteen-characters", "teekännchen", "A" * 26])
def test_a_name_that_cannot_be_carried_is_refused(name: str) -> None:
    with pytest.raises(UnfitId):
        uuid_of(name)


def test_a_coin_that_we_trade_is_a_position_and_the_rest_is_cash() -> None:
    balance = {"total": {"TPT": "3", "USD": "10.5", "BTC": "0"}}
    held, cash = words.split(balance, {"TPT/USD": "TEAPOT", "BTC/USD": "BITCOIN"})
    assert [(one.instrument_id, one.quantity) for one in held] == [("TEAPOT", D(3))]
    assert [(one.currency, one.amount) for one in cash] == [("USD", D("10.5"))]


def test_a_coin_of_two_instruments_is_held_under_its_own_name() -> None:
    held, _ = words.split({"total": {"TPT": "3"}}, {"TPT/USD": "TEAPOT-USD", "TPT/EUR": "TEAPOT-EUR"})
    assert [one.instrument_id for one in held] == ["TPT"]


@pytest.mark.parametrize("amount", ["a few", "NaN", "9" * 400, "0.0000000000001"])
def test_a_balance_that_cannot_be_carried_is_not_read(amount: str) -> None:
    with pytest.raises(Unreadable):
        words.split({"total": {"TPT": amount}}, {})


def test_a_float_is_the_text_that_was_sent() -> None:
    assert words.number(0.1, "a price") == D("0.1")


@pytest.mark.parametrize(
    ("exchange", "typed", "fingerprint", "says"),
    [
        ("binance", "", "1", "real money"),
        ("binance", "CRYPTO", "", "fingerprint"),
        ("kraken", "CRYPTO", "1", "whose account"),
        ("mtgox", "CRYPTO", "1", "none of"),
    ],
)
def test_real_money_needs_the_words_and_an_account_that_can_be_told(
    exchange: str, typed: str, fingerprint: str, says: str
) -> None:
    settings = CryptoSettings(exchange=exchange, venue="CRYPTO", modes=LIVE, typed_venue=typed)
    with pytest.raises((ValueError, KeyError), match=says):
        CryptoBroker(settings, [CryptoAccount("alice", "key", "secret", fingerprint)])


class Noting:
    """Exchanges that note what is asked of them, and take it."""

    def __init__(self) -> None:
        self.more: list[dict[str, Any]] = []

    async def one(self) -> "Noting":
        return self

    async def change(self, _what: str, ask: Callable[[Any], Awaitable[Any]]) -> Any:
        return await ask(self)

    def amount_to_precision(self, _symbol: str, number: str) -> str:
        return number

    price_to_precision = amount_to_precision

    async def create_order(self, *terms: Any) -> dict[str, Any]:
        self.more.append(terms[-1])
        return {"id": "1", "symbol": terms[0]}


@pytest.mark.parametrize("post_only", [True, False])
@pytest.mark.parametrize("exchange", ["binance", "binanceusdm", "kraken", "krakenfutures"])
def test_only_an_order_that_must_not_take_is_sent_post_only(exchange: str, post_only: bool) -> None:
    settings = CryptoSettings(exchange=exchange, venue="CRYPTO", modes=frozenset({Mode.PAPER}))
    account = Account(settings, CryptoAccount("alice", "key", "secret"), {})
    noted = Noting()
    account.exchanges = noted  # type: ignore[assignment]  # it has what an order needs
    asyncio.run(account.place(buy("a", post_only=post_only, **limit("90")), "TPT/USD"))
    (more,) = noted.more
    assert more.get("postOnly", False) is post_only
    assert ("timeInForce" in more) is not post_only


@pytest.mark.parametrize(
    ("error", "words"),
    [
        ("InvalidOrder", 'binance {"code":-2010,"msg":"Order would immediately match and take."}'),
        ("OrderImmediatelyFillable", 'binanceusdm {"code":-5022,"msg":"could not be executed as maker"}'),
        ("ExchangeError", 'kraken {"error":["EOrder:Post only order"]}'),
        ("InvalidOrder", "krakenfutures postWouldExecute"),
    ],
)
def test_an_answer_that_the_order_would_take_is_a_refusal_with_its_words(error: str, words: str) -> None:
    library = pytest.importorskip("ccxt.async_support", reason="the extra `crypto` is not installed")

    async def refuse() -> None:
        raise getattr(library, error)(words)

    with pytest.raises(Refused) as refused:
        asyncio.run(change("submit a", refuse))
    assert words in str(refused.value)


def test_real_money_is_traded_when_all_is_said() -> None:
    settings = CryptoSettings(exchange="binance", venue="CRYPTO", modes=LIVE, typed_venue="CRYPTO")
    assert CryptoBroker(settings, [CryptoAccount("alice", "key", "secret", "1")]).capabilities.venue == "CRYPTO"


def test_no_text_of_an_account_shows_its_keys() -> None:
    assert "s3cret" not in repr(CryptoAccount("alice", "s3cret-key", "s3cret", "1"))


def test_an_order_that_only_was_placed_stands_as_nobody_knows() -> None:
    placed = {"event": {"OrderPlaced": {"order": {"uid": "o", "clientId": "a", "quantity": "1", "filled": "0"}}}}
    found = words.from_history([placed], "a")
    assert found is not None
    assert found["status"] is None
    assert words.from_history([placed], "b") is None
