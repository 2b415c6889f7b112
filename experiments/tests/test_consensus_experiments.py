"""The consensus experiments with groups and load that are not there: from results and traces to
numbers, figures and words."""

import csv
import json

import pytest

from experiments import consensus_groups, definition, runner, storage_bench
from experiments.consensus_commit import experiment as commit
from experiments.consensus_failover import experiment as failover
from experiments.consensus_failover.phases import first_ack, phases_ms, read_trace
from experiments.consensus_groups import GroupOptions, Member

MS = 1_000_000
P50_US = {"raft": 400.0, "kraft": 420.0, "zab": 380.0, "etcd": 1000.0}


class NoGroup:
    """A group without processes, whose first member leads."""

    def __init__(self, system, options, directory):
        self.system, self.options, self.directory = system, options, directory
        self.members = [Member(1, "127.0.0.1:1", None, directory)]
        self.endpoints = ["127.0.0.1:1"]

    def __enter__(self):
        return self

    def __exit__(self, *_):
        pass

    def wait_leader(self, timeout):
        return self.members[0]


def no_load(system, endpoints, output, *, window, **flags):
    p50 = P50_US[system] * window ** 0.5
    return {"ok": 100, "fail": 0, "info": 0, "acks_per_s": 1e6 * window / p50,
            "response": {"p50_us": p50, "p99_us": 3 * p50}}


@pytest.fixture
def no_processes(monkeypatch):
    monkeypatch.setattr(commit, "Group", NoGroup)
    monkeypatch.setattr(consensus_groups, "load", no_load)
    monkeypatch.setattr(consensus_groups, "missing",
                        lambda system: "no such peer" if system == "zookeeper" else None)


def test_commit_has_its_rows_and_a_peer_that_is_missing_is_said_to_be(no_processes, tmp_path):
    chosen = definition.load("consensus-commit")
    plan = definition.plan(chosen, quick=False, overrides={}, trials=2)
    summary = json.loads(runner.run(chosen, plan, commit, tmp_path).read_text())
    rows = {(r["metric"], r["system"]): r["median"] for r in summary
            if r["params"] == {"nodes": "3", "transport": "tcp", "durability": "sync",
                               "bytes": "1024", "window": "1"}}
    assert rows["commit_latency_p50", "zab"] == pytest.approx(380.0)
    assert rows["commit_throughput", "etcd"] == pytest.approx(1000.0)
    assert ("commit_latency_p50", "zookeeper") not in rows
    [report] = tmp_path.glob("consensus-commit/*/report.html")
    words = report.read_text()
    assert "no such peer" in words
    assert "raft takes 0.4 times" in words


def test_every_system_is_measured_at_the_same_points_but_for_the_transport():
    p = definition.plan(definition.load("consensus-commit"), quick=False, overrides={},
                        trials=None).parameters
    ours, theirs = list(commit._groups(p, "raft")), list(commit._groups(p, "etcd"))
    assert [g for g in ours if g[0]["transport"] == "tcp"] == theirs
    assert len(ours) == len(theirs) + 1


def test_equal_budgets_are_equal_and_shipped_ones_are_not():
    equal = GroupOptions(profile="equal_budget", detection_ms=500)
    found = {s: consensus_groups.timeouts(equal, s) for s in consensus_groups.SYSTEMS}
    assert set(map(str, found.values())) == {str({"heartbeat": 100, "detection": 500})}
    shipped = GroupOptions(profile="as_shipped")
    assert consensus_groups.timeouts(shipped, "etcd")["detection"] == 1000
    assert consensus_groups.timeouts(shipped, "zookeeper")["detection"] == 10_000


def event(at_ms, name, **fields):
    return {"t_ns": at_ms * MS, "event": name, **fields}


def test_phases_lie_end_to_end_between_the_fault_and_the_ack():
    events = [event(90, "election_started", epoch=1), event(95, "became_leader", epoch=1),
              event(96, "epoch_committed", epoch=1),
              event(150, "election_started", epoch=2), event(170, "election_started", epoch=3),
              event(180, "became_leader", epoch=3), event(183, "epoch_committed", epoch=3)]
    assert phases_ms(events, 100 * MS, 190 * MS) == pytest.approx(
        {"detect": 50.0, "elect": 30.0, "sync": 3.0, "ack": 7.0})


def test_a_trace_without_a_new_leader_has_no_phases():
    assert phases_ms([event(150, "election_started", epoch=2)], 100 * MS, 190 * MS) is None


def test_a_torn_last_line_of_a_trace_is_left_out(tmp_path):
    (tmp_path / "trace").write_text('{"t_ns":1,"event":"a"}\n{"t_ns":2,"ev')
    assert read_trace(tmp_path / "trace") == [{"t_ns": 1, "event": "a"}]


def test_an_ack_counts_when_it_was_intended_after_the_fault_and_came_from_a_survivor(tmp_path):
    rows = [(1, 90, 110, "ok"), (0, 105, 111, "ok"), (1, 105, 112, "info"), (2, 106, 140, "ok"),
            (1, 107, 130, "ok")]
    with open(tmp_path / "acks.csv", "w", newline="", encoding="utf-8") as file:
        out = csv.writer(file)
        out.writerow(["connection", "intended_ns", "answered_ns", "outcome"])
        out.writerows(rows)
    assert first_ack(tmp_path / "acks.csv", 100, except_connection=0) == 130
    assert first_ack(tmp_path / "acks.csv", 107, except_connection=0) is None


@pytest.fixture
def recorded(monkeypatch):
    def run_trial(trial):
        ours = trial.cell["system"] in consensus_groups.MODULES
        line = {"first_ack_ms": 120.0 if ours else 240.0,
                "phases_ms": {"detect": 50.0, "elect": 40.0, "sync": 20.0, "ack": 10.0}
                if ours else None}
        storage_bench.Recorder(trial).add(line, profile="equal_budget")

    monkeypatch.setattr(failover, "run_trial", run_trial)


def test_failover_has_its_phases_and_says_how_the_modules_stand_to_the_faster_peer(
        recorded, tmp_path):
    chosen = definition.load("consensus-failover")
    plan = definition.plan(chosen, quick=True, overrides={}, trials=1)
    summary = json.loads(runner.run(chosen, plan, failover, tmp_path).read_text())
    found = {(r["metric"], r["system"]): r["median"] for r in summary
             if r["params"] == {"profile": "equal_budget"}}
    assert found["first_ack_ms", "etcd/killed"] == 240.0
    assert found["after_detection_ms", "zab/frozen"] == 70.0
    [report] = tmp_path.glob("consensus-failover/*/report.html")
    words = report.read_text()
    assert "raft, leader killed: 120 ms, 70 of them after detection, 0.5 times" in words
    assert "70 of them after detection (at most 100 in 1 of 1 trials), 0.5 times" in words
