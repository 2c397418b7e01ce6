"""The SDK checks before it sends, numbers what it sends, and says when it is durable."""

import asyncio
import math
from concurrent.futures import Future
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from connectors.ai.local_signals import LocalSignals
from connectors.ai.publisher import Ack, NotAcknowledged, SignalPublisher, check
from schemas.edge import InvalidRecord
from schemas.scalars import SECOND_US
from schemas.signal import AcceptedSignal, Signal, SignalKind
from tests.paths import ROOT
from tests.streams.signals.desk import NOON_US, Desk, signal

TERMS: dict[str, Any] = {"horizon": timedelta(days=1), "valid_for": timedelta(minutes=1)}


def oracle(take: Any, now_us: int = NOON_US) -> SignalPublisher:
    return SignalPublisher(
        LocalSignals(take), provider_id="oracle", model_name="delphi", model_version="1", clock_us=lambda: now_us
    )


def test_a_signal_is_made_of_what_is_said_and_acknowledged_with_its_place() -> None:
    sent: list[Signal] = []
    ack = oracle(sent.append).publish("WTI", strength=0.8, probability=0.57, signal_id="s-1", **TERMS)
    assert ack == Ack(signal_id="s-1", sequence=NOON_US, topic="signals.inbox", partition=0, offset=0)
    assert sent == [
        Signal(
            event_time_us=NOON_US,
            signal_id="s-1",
            provider_id="oracle",
            model_name="delphi",
            model_version="1",
            instrument_id="WTI",
            sequence=NOON_US,
            kind=SignalKind.DIRECTION,
            inputs_as_of_us=NOON_US,
            valid_until_us=NOON_US + 60 * SECOND_US,
            horizon_us=86_400 * SECOND_US,
            strength=0.8,
            probability=0.57,
        )
    ]


def test_what_the_sdk_publishes_the_engine_accepts() -> None:
    desk, said = Desk(), []
    oracle(lambda sent: said.extend(desk.tell(sent))).publish("WTI", strength=-1.0, **TERMS)
    assert [type(record) for record in said] == [AcceptedSignal]


def test_sequences_and_ids_are_new_each_time_though_the_clock_stands_still() -> None:
    sent: list[Signal] = []
    publisher = oracle(sent.append)
    for _ in range(3):
        publisher.publish("WTI", strength=1.0, **TERMS)
    publisher.publish("BRENT", strength=1.0, **TERMS)
    assert [one.sequence - NOON_US for one in sent] == [0, 1, 2, 0]
    assert len({one.signal_id for one in sent}) == 4


def test_after_a_restart_sequences_go_on_rising() -> None:
    sent: list[Signal] = []
    oracle(sent.append).publish("WTI", strength=1.0, **TERMS)
    oracle(sent.append, NOON_US + 1).publish("WTI", strength=1.0, **TERMS)
    assert sent[1].sequence > sent[0].sequence


@pytest.mark.parametrize(
    ("fields", "kind"),
    [
        ({"strength": 0.5}, SignalKind.DIRECTION),
        ({"target_weight": 0.5}, SignalKind.TARGET_WEIGHT),
        ({"target_price": Decimal(80)}, SignalKind.TARGET_PRICE),
        ({"forecast_mean": 0.01, "forecast_deviation": 0.02}, SignalKind.FORECAST),
        ({"kind": SignalKind.EXIT}, SignalKind.EXIT),
        ({"kind": SignalKind.ABSTAIN}, SignalKind.ABSTAIN),
    ],
)
def test_the_kind_is_told_by_the_field_that_carries_the_opinion(fields: dict[str, Any], kind: SignalKind) -> None:
    sent: list[Signal] = []
    oracle(sent.append).publish("WTI", **fields, **TERMS)
    assert sent[0].kind is kind


@pytest.mark.parametrize(
    ("fields", "path"),
    [
        ({"strength": math.nan}, "strength"),
        ({"strength": "up"}, "strength"),
        ({"strength": 0.5, "target_weight": 0.5}, "kind"),
        ({}, "kind"),
        ({"forecast_mean": 0.1}, "forecast_deviation"),
        ({"kind": SignalKind.DIRECTION}, "strength"),
        ({"target_price": 80.5}, "target_price"),
        ({"target_price": Decimal("NaN")}, "target_price"),
        ({"strength": 0.5, "summary": "x" * 10_000_000}, "summary"),
        ({"strength": 0.5, "strenght": 0.5}, "strenght"),
        ({"strength": 0.5, "horizon": timedelta(0)}, "horizon_us"),
        ({"strength": 0.5, "valid_for": timedelta(0)}, "valid_until_us"),
        ({"strength": 0.5, "inputs_as_of": datetime(2099, 1, 1, tzinfo=UTC)}, "inputs_as_of_us"),
        ({"strength": 0.5, "signal_id": "x" * 1_000}, "signal_id"),
    ],
)
def test_a_signal_that_cannot_be_right_is_not_sent_and_the_field_is_named(fields: dict[str, Any], path: str) -> None:
    sent: list[Signal] = []
    with pytest.raises(InvalidRecord) as refused:
        oracle(sent.append).publish("WTI", **TERMS | fields)
    assert path in [problem.path for problem in refused.value.problems]
    assert sent == []


def test_a_signal_made_elsewhere_is_checked_too() -> None:
    check(signal())
    with pytest.raises(InvalidRecord, match="inputs_as_of_us"):
        oracle(print).publish_signal(signal(inputs_as_of_us=NOON_US + 1))


def test_publishing_does_not_block_an_event_loop() -> None:
    sent: list[Signal] = []
    ack = asyncio.run(oracle(sent.append).publish_async(signal()))
    assert (ack.signal_id, len(sent)) == ("s-1", 1)


class Mute:
    """A writer that never answers."""

    def send(self, signal: Signal) -> "Future[Ack]":
        return Future()


def test_a_signal_that_nobody_acknowledges_is_said_not_to_be() -> None:
    publisher = SignalPublisher(Mute(), provider_id="oracle", model_name="delphi", model_version="1")
    with pytest.raises(NotAcknowledged, match=r"signal s-1 was not acknowledged: no answer within 0\.01 s"):
        publisher.publish_signal(signal(), timeout_s=0.01)


def code_of(document: str) -> list[str]:
    """Python blocks of a page."""
    text = (ROOT / "docs" / document).read_text()
    return [block.partition("```")[0] for block in text.split("```python\n")[1:]]


def test_the_quick_start_without_servers_runs_as_it_is_written(capsys: pytest.CaptureFixture[str]) -> None:
    _, local = code_of("publish-signals.md")
    names: dict[str, Any] = {"SignalPublisher": SignalPublisher}
    exec(compile(local, "publish-signals.md", "exec"), names)
    names["oracle"].publish("WTI", strength=1.0, **TERMS)
    assert "Signal(" in capsys.readouterr().out


def test_the_quick_start_has_at_most_fifteen_lines() -> None:
    quick = code_of("publish-signals.md")[0]
    assert len([line for line in quick.splitlines() if line.strip()]) <= 15
