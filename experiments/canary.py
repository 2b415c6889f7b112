"""A small topic among many partitions, whose leaders' moves and writes are watched while brokers go
and come.

The partitions that nobody writes to move with it: the canary's are among them in an order that
follows from the ids of the topics, so its last one is late when they are many.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from experiments import kafka_calls, phases
from experiments.control_plane import NODES, RESTART_TIMEOUT, Plane
from experiments.kafka_calls import Leader, Topic
from experiments.load_generator import LoadGenerator, Operations, load_operations
from harness.cluster import Node
from harness.waiting import wait_for

TOPIC = "canary"
PARTITIONS = 30
RATE = 600  # Records per second, all partitions together.
REQUEST_TIMEOUT_MS = 1000  # Only that tells a client of a broker that is frozen.
BEFORE_S = 1.0  # Of load before anything happens.
AFTER_S = 1.0  # And after all that was led has been written to again.
LOOK_MS = 20
"""How often the client asks for leaders: left to itself it waits twice as long after each answer
that does not help, for seconds in the end, and so would all that is measured by its writes."""
QUIET_S = 1.0
ELECTION_TIMEOUT = 30.0  # Seconds.


def ensure(plane: Plane) -> None:
    """Makes the topic at the first call. Errors: control_plane.FAILURES."""
    if plane.has_canary:
        return
    kafka_calls.create(plane.alive[0].endpoint, [Topic(TOPIC, PARTITIONS, NODES)], 60)
    plane.has_canary = True


def leaders(plane: Plane, asked: Node | None = None) -> dict[int, Leader]:
    """As a live broker, or the given one, has them. Errors: kafka_calls.CallError."""
    return kafka_calls.leaders((asked or plane.alive[-1]).endpoint, TOPIC)


def led_by(plane: Plane, node: Node) -> list[int]:
    return [p for p, leader in leaders(plane).items() if leader.id == node.id]


def victim(plane: Plane) -> Node:
    """Of the virtual brokers, or where there are none, of the brokers other than the active
    controller's, the one that leads most of the topic."""
    active = plane.active()
    led = [leader.id for leader in leaders(plane).values()]
    choice = [n for n in plane.nodes[NODES:] if n.alive]
    choice = choice or [n for n in plane.alive if n is not active]
    return max(choice, key=lambda n: led.count(n.id))


def rest(plane: Plane) -> None:
    """Returns when every replica is in sync, the preferred leaders have been asked for, and nothing
    changes any more. A controller that does not elect them leaves the leaders where they are: a
    line says how many partitions the broker led. Errors: control_plane.FAILURES."""
    wait_in_sync(plane)
    plane.settle(QUIET_S)
    try:
        code = kafka_calls.elect_preferred(plane.alive[0].endpoint, ELECTION_TIMEOUT)
        if code not in (kafka_calls.NONE, kafka_calls.ELECTION_NOT_NEEDED):
            plane.trial.say(f"{plane.profile}: no preferred leaders: error {code}")
    except kafka_calls.CallError as error:
        plane.trial.say(f"{plane.profile}: no preferred leaders: {error}")
    plane.settle(QUIET_S)


def wait_in_sync(plane: Plane) -> int:
    """Until the canary's replicas are; returns when, in monotonic ns. Errors: WaitTimeout."""
    def whole() -> bool:
        return all(len(leader.isr) == NODES for leader in leaders(plane).values())
    wait_for(whole, RESTART_TIMEOUT, "the canary's replicas to be in sync", interval=0.02)
    return time.monotonic_ns()


@contextmanager
def load(plane: Plane, output: Path) -> Iterator[LoadGenerator]:
    """Writes to the canary; the block begins under load. Errors: LoadError."""
    with LoadGenerator("produce", plane.cluster.bootstrap, output, topic=TOPIC, partitions=0,
                       acks="all", idempotence=True, rate=RATE, record_bytes=100, consume=False,
                       warmup=0.5, request_timeout_ms=REQUEST_TIMEOUT_MS,
                       client=f"topic.metadata.refresh.interval.ms={LOOK_MS}",
                       seed=plane.trial.seed) as running:
        running.wait_measuring(60)
        time.sleep(BEFORE_S)
        running.check()
        yield running


def wait_served(plane: Plane, hit: Node, led: list[int], timeout: float) -> None:
    """Until all that `hit` led is led by others, as the first NODES of the other live brokers have
    it; to ask a hundred again and again would be load of its own. Errors: WaitTimeout."""
    asked = [n for n in plane.alive if n is not hit][:NODES]

    def moved() -> bool:
        return all(found[p].id not in (hit.id, -1) for node in asked
                   for found in [leaders(plane, node)] for p in led)
    wait_for(moved, timeout, f"others to lead what node {hit.id} led", interval=0.05)


def first_acks(operations: Operations, led: list[int], fault_ns: int) -> dict[str, int]:
    """Partition -> when the first record was acknowledged that was sent after the fault."""
    later = operations.ok & (operations.sent > fault_ns)
    found = {}
    for partition in led:
        times = operations.completed[later & (operations.partitions == partition)]
        if times.size:
            found[str(partition)] = int(times.min())
    return found


def stalls(operations: Operations, led: list[int], fault_ns: int) -> list[float]:
    """Seconds of the longest time without an acknowledgement, of each of the partitions."""
    end = int(operations.completed.max(initial=fault_ns))
    return [phases.longest_gap(operations.acks_ns(p), fault_ns, end) for p in led]


def read(output: Path, led: list[int], fault_ns: int) -> dict[str, object]:
    """What a line keeps of the load. `fault_ns`: from here on, whoever was hit answered nothing.
    Requires: the load has stopped. Errors: OSError, ValueError."""
    operations = load_operations(output)
    unanswered = int(np.count_nonzero(~operations.ok))
    return {"led": len(led), "first_acks": first_acks(operations, led, fault_ns),
            "stalls_s": stalls(operations, led, fault_ns), "unacknowledged": unanswered,
            "records": len(operations)}
