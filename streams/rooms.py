"""All rooms of the engine, in the order in which a record walks: the one list that workers and replays share."""

from typing import Any

from streams.accounts.room import Accounts
from streams.market_data.room import MarketData
from streams.pnl.room import Pnl
from streams.runtime.room import Room
from streams.signals.room import Signals
from streams.strategies.room import Strategies

ROOMS: tuple[type[Room[Any, Any]], ...] = (MarketData, Signals, Strategies, Accounts, Pnl)


def all_rooms() -> list[Room[Any, Any]]:
    """A new instance of every room."""
    return [room() for room in ROOMS]
