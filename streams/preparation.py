"""Preparation: what must be there before anything of an environment runs. Done twice it changes nothing."""

import time
from collections.abc import Callable
from pathlib import Path

from connectors.clickhouse.client import ClickHouse, database_of
from connectors.clickhouse.migrate import migrate
from connectors.kafka.environment import fix_mode
from connectors.kafka.provision import Provisioner, desired
from connectors.registry.client import ConfluentRegistry
from connectors.registry.publish import fetch_from, register
from connectors.registry.remembered import remember
from schemas.codec import Codec
from schemas.control import Environment
from streams.settings import Settings

Step = Callable[[str, str, float], None]
"""Told of each step: its name, what came of it, and when it began (monotonic seconds)."""


def prepare(
    settings: Settings, *, bootstrap_servers: str, registry_url: str, clickhouse_url: str, author: str, step: Step
) -> Codec:
    """Make topics, schemas, the environment's mode and tables as the map says; return the codec for its records.

    Raises connectors' errors: what exists and differs is never changed silently, least of all the mode.
    """
    address = {"bootstrap.servers": bootstrap_servers}
    begun = time.monotonic()
    made = Provisioner(address).apply(desired(settings.environment, settings.replication))
    step("topics", f"{len(made)} topics made" if made else "all topics are there", begun)
    begun = time.monotonic()
    registry = ConfluentRegistry(registry_url)
    ids = register(registry)
    remember(ids, ids_file(settings))
    codec = Codec(ids, fetch_from(registry))
    step("schemas", f"{len(ids)} schemas are registered", begun)
    begun = time.monotonic()
    now_us = time.time_ns() // 1000
    wanted = Environment(
        event_time_us=now_us, name=settings.environment, mode=settings.mode, author=author, made_at_us=now_us
    )
    fixed = fix_mode(address, codec, wanted)
    step("environment", f"{fixed.name} is {fixed.mode}", begun)
    begun = time.monotonic()
    server = clickhouse_of(settings, clickhouse_url)
    steps = migrate(server)
    server.close()
    step("tables", f"{len(steps)} steps of migration" if steps else "ClickHouse is up to date", begun)
    return codec


def clickhouse_of(settings: Settings, url: str) -> ClickHouse:
    """The environment's database, as the settings let us in; the caller closes it."""
    return ClickHouse(
        url,
        database_of(settings.environment),
        user=settings.clickhouse_user,
        password=settings.clickhouse_password.get_secret_value(),
    )


def ids_file(settings: Settings) -> Path:
    """Where the environment's schema ids are remembered."""
    return settings.folder / f"schema-ids-{settings.environment}.json"
