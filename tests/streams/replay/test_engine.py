"""The engine's process that gets ready before the servers are there."""

import subprocess
import sys
from pathlib import Path

import pytest

from streams.replay.order import WHEN_TOLD

pytestmark = pytest.mark.slow

START_S = 120.0


def test_an_engine_that_is_never_told_to_begin_ends_without_a_word(tmp_path: Path) -> None:
    words = [sys.executable, "-m", "streams.replay.engine", str(tmp_path / "order.json"), WHEN_TOLD]
    engine = subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    said, complained = engine.communicate(timeout=START_S)
    assert (engine.returncode, said, complained) == (0, b"", b"")


def test_an_engine_reads_its_order_only_when_it_is_told_to_begin(tmp_path: Path) -> None:
    order = tmp_path / "order.json"
    words = [sys.executable, "-m", "streams.replay.engine", str(order), WHEN_TOLD]
    engine = subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    order.write_bytes(b"not an order")
    _, complained = engine.communicate(b"\n", timeout=START_S)
    assert engine.returncode == 1
    assert b"JSON is malformed" in complained
