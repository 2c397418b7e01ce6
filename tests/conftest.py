"""Fixtures that every test may use, and what holds for all of them."""

import os

from hypothesis import HealthCheck, settings

pytest_plugins = ["tests.servers", "tests.servers_data"]

settings.register_profile(
    "any machine",
    deadline=None,
    derandomize="QL_PROPERTY_CASES" not in os.environ,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.load_profile("any machine")
"""A property is false or it is not: a machine with something else to do makes none of them false, and what lands is
judged by the same cases each time. `make soak` looks for other ones."""
