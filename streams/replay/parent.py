"""A child of `run` does not outlive it: whoever conducts may be killed without a word."""

import os
import signal
import threading
import time

LOOK_EVERY_S = 1.0
INSIST_S = 30.0
"""A process that cannot finish within this time is ended: what it had in hand is in its log, and is done again."""


def end_with_parent() -> None:
    """Ask this process to finish as soon as its parent is gone; insist after a while."""
    parent = os.getppid()

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(LOOK_EVERY_S)
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(INSIST_S)
        if os.getpgrp() == os.getpid():
            # With all that it has started.
            os.killpg(os.getpgrp(), signal.SIGKILL)
        os._exit(1)

    threading.Thread(target=watch, name="parent", daemon=True).start()
