"""The FIX session: QuickFIX's threads on one side, our event loop on the other.

Nothing is sent later than it was asked for: what cannot be sent now is not kept (`PersistMessages=N`), so that a
counterparty which asks for messages again after a reconnect gets gap fills and never an old order.
"""

import asyncio
import atexit
import logging
import os
import sys
import time
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

from connectors.brokers.fix.fields import SOH, BadMessage, Fields
from connectors.brokers.fix.settings import FixSettings
from connectors.brokers.fix.words import Pairs
from connectors.errors import Unavailable

Take = Callable[[Fields], None]
"""Takes a message of the counterparty, in the session's thread, before its sequence number moves on."""

_running: set["Session"] = set()
"""Sessions whose threads run: they call into Python, so nothing of theirs may be collected under them."""
_LOG = logging.getLogger("quantumleap.fix")
_EX_SOFTWARE = 70
_LOGOUT_S = 2.0
_LOOK_S = 0.02
_GROUPS: dict[int, tuple[int, frozenset[int]]] = {453: (448, frozenset({448, 447, 452}))}
"""Repeating groups that we send: the count's tag, the first tag of an entry and all of its tags."""


class FixMissing(Exception):
    """QuickFIX is not installed."""


def quickfix() -> Any:
    """The library, which is in the extra `fix`. Raises FixMissing."""
    try:
        return import_module("quickfix")
    except ImportError as error:
        raise FixMissing("QuickFIX is not installed; install it with `pip install 'quantumleap[fix]'`") from error


class Session:
    """One session as initiator. It connects, logs on, answers heartbeats and asks for what it missed by itself."""

    def __init__(self, settings: FixSettings, take: Take, news: Callable[[Fields | None], None]):
        """`news` is called in our event loop with each message that was taken, and with None when the session comes
        or goes.
        """
        self._fix = quickfix()
        self._settings = settings
        self._take = take
        self._news = news
        self._loop: asyncio.AbstractEventLoop | None = None
        self._initiator: Any = None
        self._id: Any = None
        self._on = False
        self.refusal = ""

    @property
    def logged_on(self) -> bool:
        return self._on

    def start(self) -> None:
        """Begin to connect. Call it in the event loop that is to hear the news."""
        fix, settings = self._fix, self._settings
        self._loop = asyncio.get_running_loop()
        settings.folder.mkdir(parents=True, exist_ok=True)
        file = settings.folder / "session.cfg"
        file.write_text(_configuration(settings), encoding="utf-8")
        self._application = _application(fix)(self)
        self._stores = fix.FileStoreFactory(fix.SessionSettings(str(file)))
        self._initiator = fix.SocketInitiator(self._application, self._stores, fix.SessionSettings(str(file)))
        _running.add(self)
        self._initiator.start()

    def stop(self) -> None:
        """Log out and end the threads. May take a second or two: call it outside the event loop."""
        if self._initiator is None:
            return
        session = self._fix.Session.lookupSession(self._id) if self._on else None
        if session is not None:
            session.logout()
        waited_s = 0.0
        while self._on and waited_s < _LOGOUT_S:
            time.sleep(_LOOK_S)
            waited_s += _LOOK_S
        self._initiator.stop(True)
        self._initiator = None
        _running.discard(self)

    def send(self, pairs: Pairs) -> str:
        """Send a message now; its sequence number. Raises Unavailable where it provably was not sent."""
        message = self._message(pairs)
        if not self._on or not self._fix.Session.sendToTarget(message, self._id):
            why = self.refusal or "not logged on"
            raise Unavailable(f"{self._settings.venue} has no FIX session with us ({why}); it may be repeated")
        return str(message.getHeader().getField(34))

    def _message(self, pairs: Pairs) -> Any:
        message = self._fix.Message()
        message.getHeader().setField(8, "FIX.4.4")
        message.getHeader().setField(35, pairs[0][1])
        group: Any = None
        members: frozenset[int] = frozenset()
        for tag, value in pairs[1:]:
            if tag in _GROUPS:
                first, members = _GROUPS[tag]
                group = self._fix.Group(tag, first)
            elif tag in members:
                group.setField(tag, value)
            else:
                message.setField(tag, value)
        if group is not None:
            message.addGroup(group)
        return message

    def logged(self, session_id: Any, on: bool) -> None:
        """The session came or went. In QuickFIX's thread."""
        self._id, self._on = session_id, on
        if on:
            self.refusal = ""
        self._tell(None)

    def heard(self, message: Any) -> None:
        """A message came. In QuickFIX's thread."""
        try:
            fields = Fields.parse(message.toString())
        except BadMessage:
            # QuickFIX took it for a message and we do not: whoever waits for it ends in doubt and asks.
            return
        try:
            self._take(fields)
        except BadMessage as error:
            _LOG.warning("%s told what cannot be kept: %s", self._settings.venue, error)
        except Exception as error:  # noqa: BLE001 - no exception may pass into QuickFIX's thread
            # When this returns, QuickFIX moves the sequence number on, and what was told would never be told again.
            _stop_here(self._settings.venue, error)
        self._tell(fields)

    def refused(self, text: str) -> None:
        """The counterparty ends the session with these words."""
        self.refusal = text

    def credentials(self) -> tuple[str, str]:
        return self._settings.username, self._settings.password

    def _tell(self, fields: Fields | None) -> None:
        if self._loop is not None and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._news, fields)


def _stop_here(venue: str, error: Exception) -> None:
    """End the process at once: it cannot keep what it is told. The next one asks for it by its number."""
    _LOG.critical("what %s told could not be kept (%s: %s); the process ends", venue, type(error).__name__, error)
    sys.stderr.flush()
    os._exit(_EX_SOFTWARE)


@atexit.register
def _stop_all() -> None:
    for session in list(_running):
        session.stop()


def _application(fix: Any) -> Any:
    """QuickFIX's callbacks as calls of a `Session`."""

    class Application(fix.Application):  # type: ignore[misc]  # the library has no types
        def __init__(self, session: Session):
            super().__init__()
            self._session = session

        def onCreate(self, session_id: Any) -> None:
            pass

        def onLogon(self, session_id: Any) -> None:
            self._session.logged(session_id, True)

        def onLogout(self, session_id: Any) -> None:
            self._session.logged(session_id, False)

        def toAdmin(self, message: Any, session_id: Any) -> None:
            if message.getHeader().getField(35) == "A":
                for tag, value in zip((553, 554), self._session.credentials(), strict=True):
                    if value:
                        message.setField(tag, value)

        def fromAdmin(self, message: Any, session_id: Any) -> None:
            kind = message.getHeader().getField(35)
            if kind == "5":
                self._session.refused(Fields.parse(message.toString()).get(58) or "logged out")
            elif kind == "3":
                self._session.heard(message)

        def toApp(self, message: Any, session_id: Any) -> None:
            pass

        def fromApp(self, message: Any, session_id: Any) -> None:
            self._session.heard(message)

    return Application


def _configuration(settings: FixSettings) -> str:
    dictionary = settings.dictionary or Path(sys.prefix) / "share" / "quickfix" / "FIX44.xml"
    lines = [
        "[DEFAULT]",
        "ConnectionType=initiator",
        f"ReconnectInterval={settings.reconnect_s}",
        f"FileStorePath={settings.folder / 'store'}",
        "NonStopSession=Y",
        "StartTime=00:00:00",
        "EndTime=00:00:00",
        f"HeartBtInt={settings.heartbeat_s}",
        f"LogonTimeout={max(int(settings.logon_s), 1)}",
        "LogoutTimeout=2",
        "PersistMessages=N",
        "SocketNodelay=Y",
        f"ResetOnLogon={'Y' if settings.reset_on_logon else 'N'}",
        "[SESSION]",
        "BeginString=FIX.4.4",
        f"SenderCompID={settings.sender}",
        f"TargetCompID={settings.target}",
        f"SocketConnectHost={settings.host}",
        f"SocketConnectPort={settings.port}",
        *_second_address(settings),
        "ValidateUserDefinedFields=N",
        "ValidateFieldsOutOfOrder=N",
    ]
    known = dictionary.is_file()
    lines += ["UseDataDictionary=Y", f"DataDictionary={dictionary}"] if known else ["UseDataDictionary=N"]
    return "\n".join(lines) + "\n"


def _second_address(settings: FixSettings) -> list[str]:
    """QuickFIX tries its addresses in turn, each time it connects: one session, with its sequence numbers."""
    if not settings.second_port:
        return []
    return [f"SocketConnectHost1={settings.second_host}", f"SocketConnectPort1={settings.second_port}"]


def plain(message: str) -> str:
    """A message for people: bars between its fields, and no password."""
    return "|".join(part for part in message.split(SOH) if part and not part.startswith("554="))
