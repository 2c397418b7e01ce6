"""LocalSignals: carries signals in process, for tests, notebooks and replays without servers."""

from collections.abc import Callable
from concurrent.futures import Future

from connectors.ai.publisher import Ack
from schemas.signal import Signal
from schemas.topics import SIGNALS_INBOX


class LocalSignals:
    """A SignalWriter that hands every signal to a function, at once and in order. Offsets count from 0."""

    def __init__(self, take: Callable[[Signal], object]) -> None:
        self._take = take
        self._written = 0

    def send(self, signal: Signal) -> "Future[Ack]":
        """See SignalWriter."""
        done: Future[Ack] = Future()
        self._take(signal)
        done.set_result(
            Ack(
                signal_id=signal.signal_id,
                sequence=signal.sequence,
                topic=SIGNALS_INBOX.name,
                partition=0,
                offset=self._written,
            )
        )
        self._written += 1
        return done
