"""Opening brokers: which kinds there are, where keys may be, and that real money needs every word."""

from importlib.util import find_spec
from pathlib import Path
from typing import Any

import msgspec
import pytest

from connectors.brokers.keys import CredentialsUnusable
from connectors.brokers.opening import BrokerOptions, BrokerUnusable, ByAccount, Kind, open_broker, readers_of
from connectors.errors import Refused
from schemas.control import Mode
from streams.settings import WrongSettings, load
from tests.connectors.brokers.orders import buy

KEYS = {"KEY": "AK1", "SECRET": "s3cret-of-alice"}


def options(**fields: Any) -> BrokerOptions:
    account = {"number": "PA1", "key_variable": "KEY", "secret_variable": "SECRET"}
    return msgspec.convert({"kind": "alpaca", "accounts": {"alice": account}, **fields}, BrokerOptions)


def test_a_paper_broker_needs_no_keys(tmp_path: Path) -> None:
    assert open_broker("P", BrokerOptions(kind=Kind.PAPER), Mode.PAPER, folder=tmp_path).capabilities.venue == "P"


@pytest.mark.parametrize(
    "kind",
    [
        "alpaca",
        pytest.param(
            "crypto",
            marks=pytest.mark.skipif(find_spec("ccxt") is None, reason="the extra `crypto` is not installed"),
        ),
    ],
)
def test_keys_come_from_the_environment_and_are_shown_nowhere(kind: str, tmp_path: Path) -> None:
    broker = open_broker("V", options(kind=kind, exchange="kraken"), Mode.PAPER, folder=tmp_path, environ=KEYS)
    assert broker.capabilities.venue == "V"
    assert "s3cret" not in repr(vars(broker))
    assert "s3cret" not in repr(options())


def test_keys_come_from_files_that_others_may_not_read(tmp_path: Path) -> None:
    (tmp_path / "key").write_text("AK1\n")
    (tmp_path / "secret").write_text("s3cret\n")
    named = {"alice": {"number": "PA1", "key_file": str(tmp_path / "key"), "secret_file": str(tmp_path / "secret")}}
    (tmp_path / "key").chmod(0o600)
    (tmp_path / "secret").chmod(0o644)
    with pytest.raises(CredentialsUnusable, match="everybody may read"):
        open_broker("V", options(accounts=named), Mode.PAPER, folder=tmp_path)
    (tmp_path / "secret").chmod(0o600)
    assert open_broker("V", options(accounts=named), Mode.PAPER, folder=tmp_path).capabilities.venue == "V"


def test_without_keys_nothing_is_opened_and_the_message_says_where_they_were_looked_for(tmp_path: Path) -> None:
    with pytest.raises(CredentialsUnusable, match="KEY"):
        open_broker("V", options(), Mode.PAPER, folder=tmp_path, environ={})


@pytest.mark.parametrize(
    ("typed", "number", "kind"),
    [("", "PA1", "alpaca"), ("W", "PA1", "alpaca"), ("V", "", "alpaca"), ("V", "1", "paper")],
)
def test_real_money_needs_the_venue_typed_out_and_a_fingerprint(
    typed: str, number: str, kind: str, tmp_path: Path
) -> None:
    account = {"number": number, "key_variable": "KEY", "secret_variable": "SECRET"}
    wanted = options(kind=kind, accounts={"alice": account})
    with pytest.raises(BrokerUnusable):
        open_broker("V", wanted, Mode.LIVE, folder=tmp_path, typed_venue=typed, environ=KEYS)


def test_real_money_is_traded_where_every_word_says_so(tmp_path: Path) -> None:
    broker = open_broker("V", options(), Mode.LIVE, folder=tmp_path, typed_venue="V", environ=KEYS)
    assert broker.capabilities.venue == "V"


async def _refused(broker: ByAccount) -> str:
    with pytest.raises(Refused) as refused:
        await broker.submit(buy("a"))
    return refused.value.code


def test_accounts_of_one_venue_have_brokers_of_their_own_and_a_stranger_is_refused(tmp_path: Path) -> None:
    import asyncio  # noqa: PLC0415 - one test needs it

    account = {"number": "PA1", "key_variable": "KEY", "secret_variable": "SECRET"}
    named = {"bob": account, "carol": account}
    broker = open_broker("V", options(accounts=named), Mode.PAPER, folder=tmp_path, environ=KEYS)
    assert isinstance(broker, ByAccount)
    assert [accounts for _, accounts in readers_of(broker, ["bob", "carol"])] == [("bob",), ("carol",)]
    assert asyncio.run(_refused(broker)) == "NO_ACCOUNT"


SECOND = {"endpoint": "https://b.venue.test", "stream": "wss://b.venue.test/stream"}


def test_a_second_route_may_have_keys_of_its_own_and_shows_none(tmp_path: Path) -> None:
    keys = {"key_variable": "KEY_B", "secret_variable": "SECRET_B"}
    account = {"number": "PA1", "key_variable": "KEY", "secret_variable": "SECRET", "second": keys}
    wanted = options(second=SECOND, accounts={"alice": account})
    with pytest.raises(CredentialsUnusable, match="KEY_B, which is to hold the key of V, account alice by its second"):
        open_broker("V", wanted, Mode.PAPER, folder=tmp_path, environ=KEYS)
    environ = {**KEYS, "KEY_B": "AK2", "SECRET_B": "s3cret-too"}
    broker = open_broker("V", wanted, Mode.PAPER, folder=tmp_path, environ=environ)
    assert "s3cret" not in repr(vars(broker))
    assert "s3cret" not in repr(wanted)


@pytest.mark.parametrize(
    ("wanted", "why"),
    [
        ({"kind": "paper", "second": SECOND}, "paper has no second route"),
        ({"kind": "crypto", "second": SECOND}, "has no stream"),
        ({"kind": "fix", "second": SECOND}, "has no stream"),
        ({"kind": "fix", "host": "a", "port": 1, "second": {"endpoint": "a:1"}}, "the first one's address"),
        ({"kind": "fix", "host": "a", "port": 1, "second": {"endpoint": "a"}}, "host:port"),
        ({"endpoint": SECOND["endpoint"], "second": SECOND}, "other than the first"),
        ({"second": {**SECOND, "stream": ""}}, "needs a stream"),
        ({"accounts": {"alice": {"number": "PA1", "second": {"key_variable": "KEY"}}}}, "no second route for"),
    ],
)
def test_a_second_route_that_leads_nowhere_or_is_not_kept_is_refused(
    wanted: dict[str, Any], why: str, tmp_path: Path
) -> None:
    with pytest.raises(BrokerUnusable, match=why):
        open_broker("V", options(**wanted), Mode.PAPER, folder=tmp_path, environ=KEYS)


def test_a_second_route_of_real_money_needs_every_word_too(tmp_path: Path) -> None:
    with pytest.raises(BrokerUnusable, match="type the venue's name"):
        open_broker("V", options(second=SECOND), Mode.LIVE, folder=tmp_path, environ=KEYS)
    broker = open_broker("V", options(second=SECOND), Mode.LIVE, folder=tmp_path, typed_venue="V", environ=KEYS)
    assert broker.capabilities.venue == "V"


def test_a_key_written_into_the_settings_is_refused_and_not_repeated() -> None:
    text = '{"V": {"kind": "alpaca", "accounts": {"alice": {"number": "1", "key": "s3cret"}}}}'
    with pytest.raises(WrongSettings) as wrong:
        load({}, environ={"QL_BROKERS": text})
    assert "s3cret" not in str(wrong.value)
    assert "key" in str(wrong.value)
