"""The worker's process of a paper run: all rooms and execution under their supervisor, as in `quantumleap worker`.

python -m streams.replay.worker ORDER.json HEALTH_PORT
"""

import os
import sys
from pathlib import Path

import msgspec

from streams.replay.order import Order
from streams.replay.parent import end_with_parent
from streams.settings import Settings, load
from streams.worker import supervise


def settings_of(order: Order, folder: Path, health_port: int) -> Settings:
    """Settings of the worker: those of this machine, with what the order says."""
    return load(
        {
            "environment": order.environment,
            "mode": order.mode,
            "folder": folder,
            "bootstrap_servers": order.bootstrap_servers,
            "registry_url": order.registry_url,
            "replication": order.replication,
            "health_port": health_port,
            "brokers": "{}",
        }
    ).settings


def main() -> None:
    """Work until asked to stop; what was folded is finished."""
    end_with_parent()
    path, health_port = Path(sys.argv[1]), int(sys.argv[2])
    order = msgspec.json.decode(path.read_bytes(), type=Order)
    # Whatever brokers the settings name: what is played here is traded on paper.
    os.environ["QL_BROKERS"] = "{}"
    sys.exit(supervise(settings_of(order, path.parent.parent, health_port), say=_say))


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
