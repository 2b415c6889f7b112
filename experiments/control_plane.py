"""What the control-plane experiments share: three node processes under one of the control planes,
grown to so many partitions, what is done to them, and what a trial keeps of it.

A trial has one cluster per profile. It grows from size to size, since building a million
partitions takes a minute, and at each size everything is done several times over.
"""

from __future__ import annotations

import json
import os
import random
import shutil
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

from experiments import kafka_calls
from experiments.definition import numbers
from experiments.kafka_calls import Topic
from experiments.load_generator import LoadError
from experiments.phases import TRACE_EVENTS
from experiments.runner import Trial, Unavailable
from experiments.storage_bench import Line, Recorder
from harness import control
from harness.cluster import ClusterError, LocalCluster, Node
from harness.waiting import WaitTimeout, wait_for

SYSTEMS = {"zk": ("zk", "zab"), "kraft": ("quorum", "kraft"), "raft": ("quorum", "raft"),
           "quorum-zab": ("quorum", "zab"), "zk-kraft": ("zk", "kraft"), "zk-raft": ("zk", "raft")}
"""System -> design of the controller, consensus protocol beneath it. The first three are planes."""
PROFILES = ("equal_budget", "as_shipped")
FAULTS = ("killed", "frozen")
FAULT_KINDS = {"both": FAULTS, "killed": FAULTS[:1], "frozen": FAULTS[1:]}
NODES = 3
PER_PROCESS = 25  # Virtual brokers of a process: 100 in one would need 20,000 sockets to fetch.
REQUEST_PARTITIONS = 10_000  # In one CreateTopics; many small ones would measure round trips.
CREATE_TIMEOUT = 300.0
GROWTH_TRIES = 5
ROUNDS_MIN = 2
RESTART_TIMEOUT = 400.0  # Seconds; a node opens 333,000 partitions and replays the metadata.
SETTLE_TIMEOUT = 400.0
TRACE_FLUSH_S = 0.1  # A line is in its file 20 ms after it was told (runtime/real/trace_file.h).
QUIET_S = 0.3  # Without news, a cluster whose brokers have applied all is settled.
ZK_QUIET_S = 1.0  # Longer than a broker works at one request.
_QUORUM = "controller.quorum."
SHIPPED = {"kraft": {_QUORUM + "heartbeat.interval.ms": "500",
                     _QUORUM + "election.timeout.ms": "1000",
                     _QUORUM + "fetch.timeout.ms": "2000"},
           "raft": {_QUORUM + "heartbeat.interval.ms": "100",
                    _QUORUM + "election.timeout.ms": "1000"},
           "zab": {_QUORUM + "heartbeat.interval.ms": "1000",
                   _QUORUM + "election.timeout.ms": "10000"}}
"""Protocol -> its timeouts in the system that it comes with: Kafka (a parked fetch of 500 ms is its
heartbeat), etcd, ZooKeeper (half a tickTime, syncLimit of them). What is not named in profile
as_shipped, sessions above all, has Kafka's and ZooKeeper's defaults in a node by itself."""
FAILURES = (ClusterError, WaitTimeout, LoadError, kafka_calls.CallError, control.ControlError)
"""Of a point; what else is raised is a defect of the experiment."""


def node_config(profile: str, parameters: Mapping[str, Any], design: str,
                module: str) -> dict[str, str]:
    """What every node is told beyond its ports, paths and plane."""
    config = {"num.shards": "1"}
    if profile == "as_shipped":
        config |= SHIPPED[module]
        if design == "quorum":
            config[_QUORUM + "append.linger.ms"] = "25"
    if profile == "equal_budget":
        detection = int(parameters["detection_ms"])
        config |= {"broker.session.timeout.ms": str(detection),
                   "broker.heartbeat.interval.ms": str(detection // 5),
                   "controller.quorum.election.timeout.ms": str(detection),
                   "controller.quorum.heartbeat.interval.ms": str(detection // 5)}
        if design == "zk":
            # A session lasts for 2 ticks at least, and its end is found at a tick.
            config |= {"zookeeper.session.timeout.ms": str(detection),
                       "keeper.tick.ms": str(detection // 5)}
    if design == "zk" and "zk_in_flight" in parameters:
        config["zookeeper.max.in.flight.requests"] = str(parameters["zk_in_flight"])
    return config


class Traces:
    """The nodes' traces as they grow: which metadata each broker has and has applied. Of a zk
    controller's metadata (`one_series` false) neither tells the other: quiet has to do."""

    def __init__(self, paths: Mapping[int, Path], *, one_series: bool = True) -> None:
        self._paths = dict(paths)
        self.one_series = one_series
        self._read = {node: 0 for node in paths}
        self.published = {node: -1 for node in paths}
        self.applied = {node: -1 for node in paths}
        self.news_at = time.monotonic()
        self._events: list[dict[str, Any]] = []

    def take(self) -> list[dict[str, Any]]:
        """The events since the last call that experiments look at, in the order of time."""
        self.follow()
        events, self._events = self._events, []
        return sorted(events, key=lambda e: e["t_ns"])

    def follow(self) -> None:
        for node, path in self._paths.items():
            for line in self._lines(node, path):
                try:
                    event = json.loads(line)
                except ValueError:  # A line that SIGKILL tore.
                    continue
                self._note(node, event)
                if event["event"] in TRACE_EVENTS:
                    self._events.append(event)

    def _lines(self, node: int, path: Path) -> list[str]:
        if not path.exists():
            return []
        with open(path, "rb") as file:
            file.seek(self._read[node])
            data = file.read()
        whole = data[:data.rfind(b"\n") + 1]
        self._read[node] += len(whole)
        return whole.decode(errors="replace").splitlines()

    def _note(self, node: int, event: Mapping[str, Any]) -> None:
        if event["event"] == "metadata_published":
            self.published[node] = event["offset"]
        elif event["event"] == "metadata_applied":
            self.applied[node] = event["offset"]
        else:
            return
        self.news_at = time.monotonic()

    def expect_news(self) -> None:
        """The quiet of before does not count."""
        self.news_at = time.monotonic()

    def is_settled(self, nodes: Sequence[int], quiet_s: float) -> bool:
        """All of them have applied what they have, and nothing has come for so long."""
        self.follow()
        if not self.one_series:
            quiet_s = max(quiet_s, ZK_QUIET_S)
        return (time.monotonic() - self.news_at > quiet_s
                and (not self.one_series
                     or all(self.applied[n] == self.published[n] for n in nodes)))

    def has(self, name: str, broker: int) -> bool:
        """An event of that name and broker was told since `take`."""
        self.follow()
        return any(e["event"] == name and e.get("broker") == broker for e in self._events)


@dataclass(frozen=True)
class Fault:
    """When a node was hit, in monotonic ns. Between the two it may still have answered."""

    begun_ns: int
    silent_ns: int


class Plane:
    """A running cluster: NODES processes that are broker and voter in one, and virtual brokers
    beyond them. Leaving the block kills it and removes its files."""

    def __init__(self, trial: Trial, profile: str, replication_factor: int,
                 brokers: int = NODES) -> None:
        self.trial = trial
        self.brokers = brokers
        self.profile = profile
        self.replication_factor = replication_factor
        self.partitions = 0
        self.size = 0  # How many there are to be; run_sizes().
        self.has_canary = False  # experiments/canary.py
        self._topics = 0
        self._barriers = 0
        design, module = SYSTEMS[trial.cell["system"]]
        self.root = trial.scratch / profile
        options: dict[str, Any] = {"module": module}
        if design != "quorum":
            options["controller"] = design
        try:
            self.cluster = LocalCluster(
                self.root, brokers=brokers, controllers=NODES, per_process=PER_PROCESS,
                layout=str(trial.parameters["layout"]),
                config=node_config(profile, trial.parameters, design, module), **options)
        except (ClusterError, TypeError) as error:
            raise Unavailable(f"no cluster of {design} over {module}: {error}") from error
        self.traces = Traces({n.id: n.directory / "trace.ndjson" for n in self.nodes},
                             one_series=design == "quorum")

    @property
    def nodes(self) -> list[Node]:
        return list(self.cluster.nodes.values())

    @property
    def voters(self) -> list[Node]:
        """The live ones of those that may decide."""
        return [n for n in self.nodes[:NODES] if n.alive and not n.paused]

    @property
    def alive(self) -> list[Node]:
        return [n for n in self.nodes if n.alive and not n.paused]

    def __enter__(self) -> Plane:
        self.trial.say(f"{self.profile}: starting")
        self.cluster.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None,
                 trace: TracebackType | None) -> None:
        self.cluster.kill()
        for node in self.nodes[:NODES + 1]:  # And one of the virtual ones, which are alike.
            for name in ("stderr", "node.properties"):
                path = (node.output if name == "stderr" else node.directory) / name
                text = path.read_text(errors="replace").splitlines()[-100:]
                out = self.trial.directory / f"{self.profile}-node-{node.id}.{name}"
                out.write_text("\n".join(text) + "\n")
        shutil.rmtree(self.root, ignore_errors=True)

    def grow(self, partitions: int) -> Line:
        """Makes topics until there are so many partitions, beside those that probes have made.
        Returns when all brokers have them. Errors: FAILURES."""
        self.trial.say(f"{self.profile}: growing to {partitions} partitions")
        first_ns, before, refused = time.monotonic_ns(), self.partitions, 0
        mark, requests = self.mark(), []
        while self.partitions < partitions:
            batch = self.next_topics(min(REQUEST_PARTITIONS, partitions - self.partitions))
            begun_ns = time.monotonic_ns()
            refused += self._make(batch)
            count = sum(t.partitions for t in batch)
            requests.append((count, (time.monotonic_ns() - begun_ns) / 1e9))
            self.partitions += count
        acked_ns = time.monotonic_ns()
        self.settle()
        return {"asked_ns": first_ns, "acked_ns": acked_ns, "made": self.partitions - before,
                "refused": refused, "requests": requests, **self.since(mark)}

    def _make(self, batch: Sequence[Topic]) -> int:
        """Makes them, those again that are refused because brokers are fenced, which a busy
        machine may do to them; returns how many were refused. Errors: FAILURES."""
        left, refused = list(batch), 0
        for _ in range(GROWTH_TRIES):
            codes = kafka_calls.try_create(self.alive[0].endpoint, left, CREATE_TIMEOUT)
            left = [t for t in left if codes[t.name] == kafka_calls.INVALID_REPLICATION_FACTOR]
            kafka_calls.check({n: c for n, c in codes.items() if n not in {t.name for t in left}})
            if not left:
                return refused
            refused += len(left)
            self.trial.say(f"{self.profile}: brokers are fenced; {len(left)} topics again")
            self.wait_whole()
        raise kafka_calls.CallError(f"brokers were fenced {GROWTH_TRIES} times while topics were "
                                    "made")

    def next_topics(self, partitions: int) -> list[Topic]:
        """New names for so many partitions."""
        each = int(self.trial.parameters["topic_partitions"])
        topics = []
        while partitions > 0:
            count = min(each, partitions)
            topics.append(Topic(f"t{self._topics}", count, self.replication_factor))
            self._topics += 1
            partitions -= count
        return topics

    def settle(self, quiet_s: float = QUIET_S) -> None:
        """Returns when every live broker has applied what it knows, and nothing has come for so
        long, from now on: what was decided last may be on its way to all. Errors: WaitTimeout."""
        self.traces.expect_news()
        wait_for(lambda: self.traces.is_settled([n.id for n in self.alive], quiet_s),
                 SETTLE_TIMEOUT, "every broker to apply what it knows")

    def wait_event(self, name: str, broker: Node, timeout: float) -> None:
        """Until a node has told that event of the broker, since the last mark. Errors:
        WaitTimeout."""
        wait_for(lambda: self.traces.has(name, broker.id), timeout,
                 f"the event {name} of broker {broker.id}")

    def resident_bytes(self) -> int:
        """Of the live nodes' processes, all together."""
        pages = 0
        for pid in {n.process.pid for n in self.alive if n.process is not None}:
            pages += int(Path(f"/proc/{pid}/statm").read_text().split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE")

    def active(self) -> Node:
        """The active controller's node. Errors: WaitTimeout."""
        def find() -> Node | None:
            claims = [n for n in self.voters if n.status(partitions=False).controller_active]
            return claims[0] if len(claims) == 1 else None
        return wait_for(find, 60, "one active controller", interval=0.02)

    def wait_whole(self) -> None:
        """Returns when no broker is fenced, and all have applied what they know. Errors:
        WaitTimeout."""
        def whole() -> bool:
            brokers = self.active().status(partitions=False).brokers
            return len(brokers) == self.brokers and not any(b.fenced for b in brokers)
        wait_for(whole, RESTART_TIMEOUT, "no broker to be fenced")
        self._wait_idle()
        self.settle()

    def _wait_idle(self) -> None:
        """Until a zk controller has worked off what it began before: it takes one event after the
        other, and is silent for as long as it reads and writes znodes. The topic that tells is
        one more. Errors: kafka_calls.CallError."""
        if not self.traces.one_series:
            topic = Topic(f"idle{self._barriers}", 1, 1)
            self._barriers += 1
            kafka_calls.create(self.active().endpoint, [topic], CREATE_TIMEOUT)

    def heal(self, node: Node) -> None:
        """Brings back a node that was killed, stopped or frozen. Errors: FAILURES."""
        self.trial.say(f"{self.profile}: node {node.id} comes back")
        if node.paused:
            node.resume()
        elif not node.alive:
            node.start(timeout=RESTART_TIMEOUT)
        self.wait_whole()

    def hurt(self, node: Node, fault: str) -> Fault:
        """Kills or freezes it."""
        begun_ns = time.monotonic_ns()
        if fault == "killed":
            node.kill()
        else:
            node.pause()
        return Fault(begun_ns, time.monotonic_ns())

    def mark(self) -> dict[int, control.Traffic]:
        """The beginning of what `since` tells of."""
        self.traces.take()
        return self._traffic()

    def since(self, mark: Mapping[int, control.Traffic]) -> Line:
        """What the traces say since `mark`, and the consensus traffic of the nodes that live on,
        all together."""
        time.sleep(TRACE_FLUSH_S)
        events = self.traces.take()
        now = self._traffic()
        kept = [n for n in mark if n in now]
        sums = {name: sum(asdict(now[n])[name] - asdict(mark[n])[name] for n in kept)
                for name in asdict(control.Traffic())}
        return {"events": events, "traffic": sums}

    def _traffic(self) -> dict[int, control.Traffic]:
        found = {}
        for node in self.voters:
            status = node.status(timeout=10, partitions=False).consensus
            if status is not None:
                found[node.id] = status.traffic
        return found


def rounds(plane: Plane, kinds: Sequence[str], size: int) -> Iterator[str]:
    """What to do next at this size: rounds of all kinds, in an order drawn anew for each. There are
    `faults` rounds, or as many as begin within `seconds_per_size`, but ROUNDS_MIN at least: time
    alone decides how many, never what was measured."""
    parameters = plane.trial.parameters
    random_ = random.Random(plane.trial.seed + size)
    begun = time.monotonic()
    for number in range(int(parameters["faults"])):
        late = time.monotonic() - begun > float(parameters["seconds_per_size"])
        if late and number >= ROUNDS_MIN:
            plane.trial.say(f"{plane.profile}: {number} rounds have taken their time")
            return
        yield from random_.sample(list(kinds), len(kinds))


Measure = Callable[[Plane, Recorder, dict[str, Any]], None]


def run_sizes(trial: Trial, measure: Measure, *, replication_factor: int) -> None:
    """Grows a cluster of each profile through the sizes and calls `measure` at each, with what to
    record its lines under. A failure is recorded, and ends the profile.

    With several numbers of brokers (the parameter `brokers`, where the experiment has it) there is
    a cluster for each, of one number of partitions, and lines are recorded under `brokers`. Errors:
    Unavailable, for several numbers of both.
    """
    record = Recorder(trial)
    chosen = str(trial.parameters.get("profiles", PROFILES[0]))
    brokers = sorted(numbers(trial.parameters.get("brokers", NODES)))
    sizes = sorted(numbers(trial.parameters["partitions"]))
    over_brokers = brokers != [NODES]
    if over_brokers and len(sizes) > 1:
        raise Unavailable(f"brokers={trial.parameters['brokers']} with partitions="
                          f"{trial.parameters['partitions']}; allowed: one number of partitions")
    for profile in PROFILES if chosen == "both" else (chosen,):
        for count in brokers:
            with (_reported(trial, record, profile),
                  Plane(trial, profile, replication_factor, count) as plane):
                for size in sizes:
                    over = {"brokers": count} if over_brokers else {"partitions": size}
                    point = {**over, "profile": profile}
                    plane.size = size
                    try:
                        measure(plane, record, point)
                    except FAILURES as error:
                        record.add({"failed": f"{type(error).__name__}: {error}"}, **point)
                        trial.say(f"{profile}: {over} failed: {error}")
                        break


@contextmanager
def _reported(trial: Trial, record: Recorder, profile: str) -> Iterator[None]:
    """A plane that this build does not have is missing, another failure to start is one."""
    try:
        yield
    except ClusterError as error:
        if SYSTEMS[trial.cell["system"]][0] != "quorum" and "is not allowed" in str(error):
            raise Unavailable(f"this build has no such plane: {error}") from error
        record.add({"failed": f"ClusterError: {error}"}, partitions=0, profile=profile)
        raise
