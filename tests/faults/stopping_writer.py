"""A transactional writer that stops itself in mid-transaction: `python -m tests.faults.stopping_writer`.

SUMS_ENVIRONMENT, SUMS_BOOTSTRAP: where. When it stops it has written one payment for ann; let go on, it commits.
"""

import os
import signal

from streams.runtime.clients import Cluster
from streams.runtime.source import Source
from tests.streams.runtime.sums import SUMS_MAP, payment, sums_codec

if __name__ == "__main__":
    cluster = Cluster(os.environ["SUMS_BOOTSTRAP"])
    source = Source(
        cluster, sums_codec(), os.environ["SUMS_ENVIRONMENT"], "payers", topic_map=SUMS_MAP, atomic_slot="c0"
    )
    with source.together():
        source.write(payment("ann", 1, "undecided"))
        source.flush()
        os.kill(os.getpid(), signal.SIGSTOP)
    source.close()
