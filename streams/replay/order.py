"""What `run` tells the engine's process to do: the plan as it was asked for, and where the servers are."""

from decimal import Decimal
from pathlib import Path

import msgspec

from connectors.feeds.data_sets import data_set
from schemas.control import Mode
from streams.replay.plan import Deployment, Plan

WHEN_TOLD = "--when-told"
"""Word to the engine's process: get ready, and begin at a line on stdin, when the order lies in the folder."""


class Order(msgspec.Struct, frozen=True, kw_only=True):
    """A run on servers, as it is kept in the run's folder.

    A folder holds one run: only its last day may grow.

    speed: of a replay, simulated seconds a second, 0 as fast as it goes; on paper, recorded times a second
    """

    data: str
    imported: str
    from_us: int
    until_us: int
    strategies: list[tuple[str, list[tuple[str, str]]]]
    cash: str
    environment: str
    bootstrap_servers: str
    registry_url: str
    clickhouse_url: str
    replication: int = 1
    speed: float = 0.0
    mode: Mode = Mode.REPLAY

    def plan(self) -> Plan:
        """The plan."""
        return Plan(
            data_set=data_set(self.data, Path(self.imported)),
            from_us=self.from_us,
            until_us=self.until_us,
            deployments=tuple(Deployment(name, tuple(settings)) for name, settings in self.strategies),
            cash=Decimal(self.cash),
            mode=self.mode,
        )

    def continues(self, earlier: "Order") -> bool:
        """Whether this run begins as the earlier one did, and does not end before it."""
        same = ("data", "from_us", "strategies", "cash", "environment", "mode")
        return all(getattr(self, name) == getattr(earlier, name) for name in same) and self.until_us >= earlier.until_us
