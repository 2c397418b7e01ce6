"""What is done to workers while records flow. Each scenario does it `times`, and leaves all slots running.

A scenario takes a harness that has been entered and whose workers do not run yet.
"""

import time
from collections.abc import Callable

from confluent_kafka.admin import AdminClient

from connectors.embedded.kafka import KafkaServer
from tests.faults.harness import Harness

SESSION_S = 6.0
ASLEEP_S = SESSION_S + 3.5
STAGES = ("begin", "produced", "offsets")

Scenario = Callable[[Harness, KafkaServer, int], None]


def kill_one(harness: Harness, _: KafkaServer, times: int) -> None:
    """kill -9 of the only worker, started again at once."""
    harness.start("w0")
    harness.wait_for_flow()
    for _again in range(times):
        time.sleep(harness.random.uniform(0.2, 1.5))
        harness.kill("w0")
        harness.note("kill -9, started again", harness.wait_for_flow())


def kill_one_of_two(harness: Harness, _: KafkaServer, times: int) -> None:
    """kill -9 of one of two; the other takes over before it is started again."""
    harness.start("w0", "w1")
    harness.wait_for_flow()
    for _again in range(times):
        time.sleep(harness.random.uniform(0.2, 1.5))
        slot = harness.random.choice(["w0", "w1"])
        harness.kill(slot)
        del harness.workers[slot]
        harness.note("kill -9, taken over", harness.wait_for_flow())
        harness.start(slot)
        harness.wait_for_flow()


def sleep_beyond_the_session(harness: Harness, _: KafkaServer, times: int) -> None:
    """SIGSTOP for longer than the session, then SIGCONT: the sleeper finds its partitions taken."""
    harness.start("w0", "w1")
    harness.wait_for_flow()
    for _again in range(times):
        slot = harness.random.choice(["w0", "w1"])
        harness.pause(slot)
        # What was on its way still arrives.
        time.sleep(1)
        harness.note("SIGSTOP for a second, taken over after it", harness.wait_for_flow())
        time.sleep(ASLEEP_S)
        harness.resume(slot)
        time.sleep(1)
        harness.wait_for_flow()


def sleep_inside_a_write(harness: Harness, _: KafkaServer, times: int) -> None:
    """A worker stops inside its transaction for longer than the session, at every stage in turn."""
    harness.start("w0", "w1")
    harness.wait_for_flow()
    for again in range(times):
        slot, stage = harness.random.choice(["w0", "w1"]), STAGES[again % len(STAGES)]
        harness.stop_itself_at(slot, stage)
        harness.note(f"asleep at {stage}, taken over", harness.wait_for_flow())
        time.sleep(ASLEEP_S)
        harness.resume(slot)
        time.sleep(1)
        harness.wait_for_flow()


def add_and_remove(harness: Harness, _: KafkaServer, times: int) -> None:
    """A second worker joins and leaves by SIGTERM."""
    harness.start("w0")
    harness.wait_for_flow()
    for _again in range(times):
        harness.start("w1")
        time.sleep(3)
        harness.note("added", harness.wait_for_flow())
        harness.stop("w1")
        harness.note("removed", harness.wait_for_flow())


def roll(harness: Harness, _: KafkaServer, times: int) -> None:
    """Each of two workers is restarted by SIGTERM, as a new version would be."""
    harness.start("w0", "w1")
    harness.wait_for_flow()
    for again in range(times):
        slot = f"w{again % 2}"
        harness.stop(slot)
        harness.start(slot)
        harness.note("restarted by SIGTERM", harness.wait_for_flow())


def fresh_starts(harness: Harness, _: KafkaServer, times: int) -> None:
    """Two workers start at the same moment, again and again."""
    for again in range(times):
        harness.start("w0", "w1")
        harness.note("two fresh starts", harness.wait_for_flow())
        if again < times - 1:
            for slot in ("w0", "w1"):
                harness.kill(slot)


def die_while_giving_up(harness: Harness, _: KafkaServer, times: int) -> None:
    """A worker dies between giving partitions up and joining again; under its fixed name they would be nobody's."""
    for _again in range(times):
        harness.start("w0")
        harness.wait_for_flow()
        harness.ask_to_stop_itself_at("w0", "leaving")
        harness.start("w1")
        harness.wait_until_it_stopped_itself("w0")
        harness.kill("w0")
        harness.start("w0")
        harness.note("died while giving up partitions", harness.wait_for_flow())
        harness.stop("w1")
        harness.stop("w0")
        time.sleep(SESSION_S + 1)
    harness.start("w0")


def broker_restarts(harness: Harness, kafka: KafkaServer, times: int) -> None:
    """The broker is killed and started again."""
    harness.start("w0", "w1")
    harness.wait_for_flow()
    for again in range(times):
        if again % 2:
            kafka.stop()
        else:
            kafka.kill()
        time.sleep(harness.random.uniform(0.5, 2))
        kafka.restart()
        harness.note("broker restarted", harness.wait_for_flow())


def compaction(harness: Harness, kafka: KafkaServer, times: int) -> None:
    """The changelog is compacted hard while workers are killed and recover from it."""
    harness.start("w0")
    harness.wait_for_flow()
    compact_hard(kafka.bootstrap_servers, f"{harness.environment}-sums-changelog")
    for _again in range(times):
        time.sleep(4)
        harness.kill("w0")
        harness.note("kill -9 under compaction", harness.wait_for_flow())


def compact_hard(bootstrap_servers: str, topic: str) -> None:
    """Make the broker roll and compact this topic all the time."""
    from confluent_kafka.admin import (  # type: ignore[attr-defined]  # noqa: PLC0415 - exported, not marked so
        AlterConfigOpType,
        ConfigEntry,
        ConfigResource,
        ResourceType,
    )

    wanted = {"segment.ms": "500", "min.cleanable.dirty.ratio": "0.0", "delete.retention.ms": "100"}
    entries = [ConfigEntry(name, value, incremental_operation=AlterConfigOpType.SET) for name, value in wanted.items()]
    admin = AdminClient({"bootstrap.servers": bootstrap_servers})
    resource = ConfigResource(ResourceType.TOPIC, topic, incremental_configs=entries)
    for answer in admin.incremental_alter_configs([resource]).values():
        answer.result(10)


SCENARIOS: dict[str, tuple[Scenario, int, int]] = {
    "kill_one": (kill_one, 3, 40),
    "kill_one_of_two": (kill_one_of_two, 1, 15),
    "sleep_beyond_the_session": (sleep_beyond_the_session, 1, 15),
    "sleep_inside_a_write": (sleep_inside_a_write, 1, 15),
    "add_and_remove": (add_and_remove, 1, 40),
    "roll": (roll, 2, 20),
    "fresh_starts": (fresh_starts, 2, 40),
    "die_while_giving_up": (die_while_giving_up, 1, 5),
    "broker_restarts": (broker_restarts, 1, 10),
    "compaction": (compaction, 2, 10),
}
"""By name: the scenario, how often in the short form, how often in the long one."""
