"""A worker says whether it lives, has started and is ready, and why not."""

import asyncio
import json
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.request import urlopen

import pytest

from connectors.embedded.kafka import KafkaServer
from streams.runtime.app import RoomApp
from streams.runtime.carrier import Standing
from tests.streams.runtime.loops import in_a_loop
from tests.streams.runtime.sums import SUMS_MAP, SumsRoom, payment, sums_codec
from tests.streams.runtime.test_door import Unfit

pytestmark = pytest.mark.servers


def asked(port: int | None, path: str) -> tuple[int, Any]:
    try:
        with urlopen(f"http://127.0.0.1:{port}{path}", timeout=5) as answer:
            body = answer.read()
            return answer.status, json.loads(body) if path != "/metrics" else body.decode()
    except HTTPError as refusal:
        return refusal.code, json.loads(refusal.read())


async def ask(app: RoomApp, path: str) -> tuple[int, Any]:
    return await asyncio.get_running_loop().run_in_executor(None, asked, app.health_port, path)


async def until_ready(app: RoomApp) -> None:
    while (await ask(app, "/ready"))[0] != 200:
        await asyncio.sleep(0.02)


@in_a_loop
async def test_a_worker_is_ready_when_its_partitions_flow_and_says_how_far_it_is(
    kafka: KafkaServer, tmp_path: Path, topic_prefix: str
) -> None:
    environment = topic_prefix.rstrip(".")
    app = RoomApp(
        environment, kafka.bootstrap_servers, sums_codec(), tmp_path, topic_map=SUMS_MAP, replication=1, health_port=0
    )
    room = app.room(SumsRoom())
    app.carry(room)
    assert app.health.not_started() == []
    await app.start()
    assert (await ask(app, "/live"))[0] == 200
    await until_ready(app)
    assert (await ask(app, "/started"))[0] == 200
    source = app.source("payers")
    source.write(payment("ann", 5, "p1"))
    source.close()
    while room.metrics.folded < 1 or room.has_lag:
        await asyncio.sleep(0.02)
    code, said = await ask(app, "/progress")
    assert code == 200
    assert said["sums"]["folded"] == 1
    assert [one["lag_records"] for one in said["sums"]["partitions"].values()] == [0, 0, 0, 0]
    code, text = await ask(app, "/metrics")
    assert "quantumleap_read_records_total{" in text
    assert f'environment="{environment}",partition="0",role="sums",room="sums",topic="' in text
    assert (await ask(app, "/nothing"))[0] == 404
    await app.stop()


@in_a_loop
async def test_a_parked_partition_makes_the_worker_unready_and_the_others_go_on(
    kafka: KafkaServer, tmp_path: Path, topic_prefix: str
) -> None:
    app = RoomApp(
        topic_prefix.rstrip("."), kafka.bootstrap_servers, sums_codec(), tmp_path, topic_map=SUMS_MAP, replication=1,
        health_port=0,
    )  # fmt: skip
    room = app.room(Unfit())
    app.carry(room)
    await app.start()
    await until_ready(app)
    source = app.source("payers")
    source.write(payment("ann", 1, "raise:"))
    for n in range(8):
        source.write(payment(f"b{n}", 1, f"p{n}"))
    source.close()
    while not any(owned.standing is Standing.PARKED for owned in room.carrier.owned.values()):
        await asyncio.sleep(0.02)
    code, said = await ask(app, "/ready")
    assert code == 503
    assert [reason for reason in said["reasons"] if "is parked at offset 0: ZeroDivisionError" in reason]
    assert (await ask(app, "/live"))[0] == 200
    live = {partition for partition, owned in room.carrier.owned.items() if owned.standing is Standing.LIVE}
    assert len(live) == 3
    while any(room.carrier.lag(partition) for partition in live):
        await asyncio.sleep(0.02)
    await app.stop()
