"""Catalogue: the plug-ins that can be deployed, by name."""

from collections.abc import Mapping
from importlib.metadata import entry_points
from typing import Any

from streams.strategies.built_in.buy_and_hold import BuyAndHold
from streams.strategies.built_in.follow_signal import FollowSignal
from streams.strategies.built_in.moving_average_cross import MovingAverageCross
from streams.strategies.built_in.volatility_target_trend import VolatilityTargetTrend
from streams.strategies.plugin import Strategy

GROUP = "quantumleap.strategies"

Catalogue = Mapping[str, Strategy[Any]]

BUILT_IN: Catalogue = {
    plugin.name: plugin for plugin in (BuyAndHold(), FollowSignal(), MovingAverageCross(), VolatilityTargetTrend())
}


class BadPlugIn(TypeError):
    """An entry point does not lead to a strategy, or takes the name of another."""


def installed() -> Catalogue:
    """Built-in strategies and those of installed packages. For composition: a room is given its catalogue.

    Raises BadPlugIn where an entry point of the group leads to something else, or to a name that is taken.
    """
    found: dict[str, Strategy[Any]] = dict(BUILT_IN)
    for point in sorted(entry_points(group=GROUP), key=lambda point: point.name):
        plugin_class = point.load()
        if not (isinstance(plugin_class, type) and issubclass(plugin_class, Strategy)):
            raise BadPlugIn(f"entry point {point.name} of {GROUP} leads to {plugin_class!r}, which is no Strategy")
        known = found.get(plugin_class.name)
        if known is None:
            found[plugin_class.name] = plugin_class()
        elif type(known) is not plugin_class:
            raise BadPlugIn(f"{point.value} and {type(known).__module__} are both called {plugin_class.name}")
    return found
