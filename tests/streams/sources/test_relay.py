"""The marks relay conflates without stepping over an extreme."""

import time
from decimal import Decimal

import pytest

from connectors.embedded.kafka import KafkaServer
from connectors.kafka.provision import desired
from schemas.codec import Codec
from schemas.market import Mark
from schemas.topics import ACCOUNTS_INBOX, MARKET_MARKS
from streams.runtime.clients import Cluster
from streams.runtime.provisioning import provision
from streams.runtime.source import DeliveryFailed, Source
from streams.sources.relay import MarksRelay, conflated


def mark(at: int, last: int, low: int, high: int, instrument: str = "WTI", volume: int | None = None) -> Mark:
    return Mark(
        event_time_us=at, instrument_id=instrument, last=Decimal(last), low=Decimal(low), high=Decimal(high),
        volume=None if volume is None else Decimal(volume),
    )  # fmt: skip


def test_no_marks_make_no_batch() -> None:
    assert conflated([]) is None


def test_the_newest_last_counts_and_the_extremes_of_all() -> None:
    batch = conflated([mark(1, 50, 10, 60), mark(2, 40, 30, 90)])
    assert batch is not None
    assert batch.marks == [mark(2, 40, 10, 90)]


def test_marks_in_the_wrong_order_keep_the_newest_last() -> None:
    batch = conflated([mark(2, 40, 30, 90), mark(1, 50, 10, 60)])
    assert batch is not None
    assert batch.marks == [mark(2, 40, 10, 90)]


def test_volumes_add_up_and_stay_unknown_where_none_is_known() -> None:
    batch = conflated([mark(1, 5, 5, 5, volume=3), mark(2, 5, 5, 5), mark(2, 7, 7, 7, "BRENT")])
    assert batch is not None
    assert [m.volume for m in batch.marks] == [None, Decimal(3)]


def test_instruments_come_in_order_and_the_same_marks_make_the_same_batch() -> None:
    marks = [mark(1, 5, 5, 5), mark(1, 7, 7, 7, "BRENT")]
    batch = conflated(marks)
    assert batch is not None
    assert [m.instrument_id for m in batch.marks] == ["BRENT", "WTI"]
    assert batch == conflated(reversed(marks))


def test_two_batches_of_one_time_are_two_records() -> None:
    one, other = conflated([mark(1, 5, 5, 5)]), conflated([mark(1, 5, 5, 5, "BRENT")])
    assert one is not None
    assert other is not None
    assert one.source_key() != other.source_key()


class Reluctant(Source):
    """One whose first records Kafka does not take."""

    refused = False

    def flush(self, timeout_s: float = 60.0) -> None:
        super().flush(timeout_s)
        if not self.refused:
            self.refused = True
            raise DeliveryFailed("not yet")


@pytest.mark.servers
def test_marks_wait_until_they_are_relayed_and_the_end_of_a_transaction_is_no_mark(
    kafka: KafkaServer, topic_prefix: str
) -> None:
    cluster, codec, environment = Cluster(kafka.bootstrap_servers), Codec.local(), topic_prefix.rstrip(".")
    provision(cluster, desired(environment, 1, [MARKET_MARKS, ACCOUNTS_INBOX]))
    market = Source(cluster, codec, environment, "market_data", atomic_slot="m0")
    with market.together():
        for at in (1, 2, 3):
            market.write(mark(at, 5, 5, 5))
    market.close()
    source = Reluctant(cluster, codec, environment, "relay")
    relay = MarksRelay(cluster, codec, environment, source, lambda _: None)
    while not source.refused:
        relay.turn()
    (waiting,) = [one for one in relay.waiting() if one.records]
    assert waiting.records >= 3
    assert waiting.relayed == -1
    assert waiting.oldest_ms is not None
    assert abs(time.time() - waiting.oldest_ms / 1000) < 600
    while relay.marks < 3 or any(one.records for one in relay.waiting()):
        relay.turn()
    (relayed,) = [one for one in relay.waiting() if one.partition == waiting.partition]
    assert (relayed.relayed, relayed.oldest_ms) == (2, None)
    relay.close()
    source.close()
