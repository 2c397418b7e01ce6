"""The job in Quix Streams, as its tutorial writes it: `python _quix_job.py`, in an environment that has it.

QUIX_BOOTSTRAP, QUIX_GROUP, QUIX_INPUT, QUIX_OUTPUT, QUIX_FOLDER.
"""

import os
from typing import Any

from quixstreams import Application, State  # type: ignore[import-not-found]  # lives in an environment of its own


def add(paid: dict[str, Any], state: State) -> dict[str, Any]:
    """A running sum by account, told after each payment."""
    total = state.get("total", 0) + paid["amount"]
    state.set("total", total)
    return {**paid, "amount": total}


def main() -> None:
    """Do the job until ended."""
    app = Application(
        broker_address=os.environ["QUIX_BOOTSTRAP"],
        consumer_group=os.environ["QUIX_GROUP"],
        state_dir=os.environ["QUIX_FOLDER"],
        auto_offset_reset="earliest",
        loglevel="WARNING",
    )
    frame = app.dataframe(app.topic(os.environ["QUIX_INPUT"], value_deserializer="json"))
    frame = frame.apply(add, stateful=True)
    frame.to_topic(app.topic(os.environ["QUIX_OUTPUT"], value_serializer="json"))
    app.run()


if __name__ == "__main__":
    main()
