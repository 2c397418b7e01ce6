"""Fixtures that every test may use, and what holds for all of them."""

from hypothesis import HealthCheck, settings

pytest_plugins = ["tests.servers", "tests.servers_data"]

settings.register_profile("any machine", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("any machine")
"""A property is false or it is not: a machine with something else to do makes none of them false."""
