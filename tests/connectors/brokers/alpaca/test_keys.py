"""Keys come from the environment or files and are shown to nobody; real money needs words and the right account."""

import asyncio
from pathlib import Path

import pytest

from connectors.brokers.alpaca import LIVE, PAPER, AlpacaAccount, AlpacaBroker, Credentials, CredentialsUnusable
from connectors.brokers.alpaca.endpoints import LiveNotMeant
from connectors.errors import Refused
from schemas.control import Mode
from tests.connectors.brokers.alpaca.conftest import Scene
from tests.connectors.brokers.orders import buy
from tests.venue.stage import HASTY, endpoint_of

KEYS = Credentials("AKteapot", "brown-betty")


def files(folder: Path, key: str = "AKteapot\n", secret: str = "brown-betty\n", mode: int = 0o640) -> Credentials:
    (folder / "key").write_text(key)
    (folder / "secret").write_text(secret)
    (folder / "secret").chmod(mode)
    return Credentials.from_files(folder / "key", folder / "secret")


def test_keys_are_read_from_the_environment() -> None:
    environ = {"APCA_API_KEY_ID": "AKteapot", "APCA_API_SECRET_KEY": "brown-betty"}
    assert Credentials.from_environment(environ) == KEYS


def test_keys_of_a_second_account_are_read_under_a_prefix() -> None:
    environ = {"BOB_APCA_API_KEY_ID": "AKteapot", "BOB_APCA_API_SECRET_KEY": "brown-betty"}
    assert Credentials.from_environment(environ, "BOB_") == KEYS


@pytest.mark.parametrize("environ", [{}, {"APCA_API_KEY_ID": "AKteapot"}, {"APCA_API_KEY_ID": " "}])
def test_an_environment_without_keys_names_what_is_missing(environ: dict[str, str]) -> None:
    with pytest.raises(CredentialsUnusable, match="APCA_API_SECRET_KEY"):
        Credentials.from_environment(environ)


def test_keys_are_read_from_files(tmp_path: Path) -> None:
    assert files(tmp_path) == KEYS


def test_a_secret_that_everybody_may_read_is_not_used(tmp_path: Path) -> None:
    with pytest.raises(CredentialsUnusable, match="everybody"):
        files(tmp_path, mode=0o644)


@pytest.mark.parametrize("secret", ["", " \n", "two words"])
def test_a_file_that_does_not_hold_one_word_is_not_used_and_not_shown(tmp_path: Path, secret: str) -> None:
    with pytest.raises(CredentialsUnusable) as refused:
        files(tmp_path, secret=secret)
    assert "two words" not in str(refused.value)


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(CredentialsUnusable, match="nowhere"):
        Credentials.from_files(tmp_path / "nowhere", tmp_path / "nowhere")


def test_no_text_of_an_account_shows_its_keys() -> None:
    account = AlpacaAccount("alice", "PA1", KEYS)
    for shown in (repr(KEYS), str(KEYS), repr(account), f"{account}", repr(AlpacaBroker(PAPER, [account]))):
        assert "brown-betty" not in shown
        assert "AKteapot" not in shown


@pytest.mark.parametrize("typed", ["", "alpaca", "PAPER"])
def test_real_money_is_not_traded_unless_the_venue_is_typed_out(typed: str) -> None:
    with pytest.raises(LiveNotMeant, match="ALPACA"):
        AlpacaBroker(LIVE, [AlpacaAccount("alice", "PA1", KEYS)], typed_venue=typed)


def test_real_money_is_traded_when_the_venue_is_typed_out() -> None:
    AlpacaBroker(LIVE, [AlpacaAccount("alice", "PA1", KEYS)], typed_venue="ALPACA")


@pytest.mark.parametrize(("endpoint", "mode"), [(PAPER, Mode.LIVE), (PAPER, Mode.REPLAY), (LIVE, Mode.PAPER)])
def test_an_order_of_another_mode_never_leaves_the_house(endpoint: object, mode: Mode) -> None:
    broker = AlpacaBroker(endpoint, [AlpacaAccount("alice", "PA1", KEYS)], typed_venue="ALPACA")  # type: ignore[arg-type]  # a case
    with pytest.raises(Refused) as refused:
        asyncio.run(broker.submit(buy("a", mode=mode)))
    assert refused.value.code == "MODE"


@pytest.mark.servers
@pytest.mark.parametrize(
    ("number", "key", "code"),
    [("SOMEBODY-ELSES", None, "WRONG_ACCOUNT"), (None, "AKwrong", "ALPACA_40110000")],
    ids=["keys of another account", "wrong keys"],
)
def test_an_account_that_is_not_the_one_configured_is_not_traded_in(
    scene: Scene, number: str | None, key: str | None, code: str
) -> None:
    keys = Credentials(key or scene.account["key"], scene.account["secret"])

    async def act() -> None:
        account = AlpacaAccount("alice", number or scene.number, keys)
        broker = AlpacaBroker(endpoint_of(scene.at), [account], manners=HASTY)
        for _ in range(2):
            with pytest.raises(Refused) as refused:
                await broker.submit(buy("a"))
            assert refused.value.code == code
        await broker.close()

    asyncio.run(act())
    assert scene.names() == []
