"""What is made of the traces and lines of the control-plane experiments, from synthetic ones."""

import json
import struct
import types

import numpy as np
import pytest

from experiments import canary, control_plane, definition, kafka_calls, phases
from experiments import control_plane_report as reports
from experiments.controller_failover import experiment as controller_failover
from experiments.load_generator import Operations

T0 = 1_000_000_000
MS = 1_000_000
NAMES = ("controller-failover", "broker-crash", "broker-shutdown", "broker-restart",
         "topic-create", "topic-delete", "metadata-propagation")


def event(ms, node, name, **fields):
    return {"t_ns": T0 + ms * MS, "node": node, "event": name, **fields}


def at(ms):
    return T0 + ms * MS


FAILOVER = [event(100, 2, "election_started", epoch=3, reason="timeout"),
            event(110, 2, "became_leader", epoch=3),
            event(111, 2, "leader_known", epoch=3, leader=2),
            event(130, 2, "controller_active", epoch=3),
            event(140, 3, "leader_known", epoch=3, leader=2)]


def failover(trace, *asked):
    return phases.controller_failover(trace, fault_ns=T0, hit=1,
                                      asked_ns=[(at(a), at(b)) for a, b in asked])


def test_a_failover_ends_with_a_request_that_was_sent_after_the_fault():
    found = failover(FAILOVER, (-10, 5), (20, 160), (40, 150))
    assert found == pytest.approx({"detect": 0.1, "elect": 0.01, "activate": 0.02, "announce": 0.01,
                                   "first_ack": 0.01, "total": 0.15})
    assert phases.after_detection(found) == pytest.approx(0.05)


def test_what_the_victim_tells_when_it_comes_back_is_no_part_of_the_failover():
    trace = [event(50, 1, "election_started", epoch=2, reason="timeout"), *FAILOVER]
    assert failover(trace, (40, 150))["detect"] == pytest.approx(0.1)


def test_a_failover_without_an_acknowledgement_has_no_total():
    found = failover(FAILOVER, (-10, 5))
    assert found["total"] is None
    assert phases.after_detection(found) is None


ZK = [event(100, 2, "controller_vacant"), event(101, 3, "controller_vacant"),
      event(105, 3, "controller_elected", epoch=5), event(106, 3, "controller_inactive", epoch=5),
      event(110, 2, "controller_elected", epoch=6), event(150, 2, "reload_topics_read", topics=3,
                                                          partitions=9, bytes=100),
      event(250, 2, "reload_states_read", partitions=9, bytes=400),
      event(260, 2, "reload_decided", states_written=3), event(270, 2, "controller_active",
                                                               epoch=6),
      event(300, 2, "reload_answered", requests=4)]


def test_a_zk_controller_reads_everything_back_before_it_serves():
    found = failover(ZK, (20, 310))
    assert found == pytest.approx({
        "detect": 0.1, "elect": 0.01, "topics": 0.04, "states": 0.1, "decide": 0.01,
        "activate": 0.01, "announce": 0.03, "first_ack": 0.01, "total": 0.31})
    assert set(found) == {*phases.FAILOVER, "total"}


def test_a_change_of_a_zk_controller_ends_when_the_last_broker_told_of_it_last():
    trace = [batch(10, "metadata_decided", 1, 0, -1), batch(18, "metadata_committed", 1, 0, -1),
             event(20, 1, "control_requests_sent", update_metadata=2, leader_and_isr=1),
             event(25, 1, "metadata_published", offset=3), event(27, 2, "metadata_published",
                                                                 offset=9),
             event(40, 1, "metadata_applied", offset=2), event(22, 2, "metadata_applied",
                                                               offset=8)]
    found = phases.change(trace, asked_ns=T0, brokers=[1, 2])
    assert found == pytest.approx({"decide": 0.01, "commit": 0.01, "propagate": 0.007,
                                   "apply": 0.013, "total": 0.04})
    lags = phases.propagation(sorted(trace, key=lambda e: e["t_ns"]), [1, 2])
    assert lags == {"publish": pytest.approx([0.007]), "apply": pytest.approx([0.002])}


def test_service_takes_several_requests_of_after_the_fault():
    before, later = [(T0 - 1, T0 + 5)] * 9, [(T0 + 1, T0 + 9)] * phases.SERVED_MIN
    assert not phases.served_again([*before, *later[1:]], T0)
    assert phases.served_again(later, T0)


def batch(ms, name, number, leaders, offset=0):
    return event(ms, 1, name, epoch=1, batch=number, records=10, leaders=leaders,
                 entries=1, bytes=100, offset=offset)


MOVE = [event(100, 1, "broker_fenced", broker=3, reason="session_timeout"),
        batch(101, "metadata_decided", 1, 10), batch(110, "metadata_committed", 1, 10, 50),
        batch(111, "metadata_decided", 2, 5), batch(120, "metadata_committed", 2, 5, 51),
        batch(121, "metadata_decided", 3, 0), batch(150, "metadata_committed", 3, 0, 52),
        event(112, 1, "metadata_published", offset=50), event(121, 1, "metadata_published",
                                                             offset=51),
        event(123, 2, "metadata_published", offset=52), event(130, 1, "metadata_applied",
                                                             offset=51),
        event(125, 2, "metadata_applied", offset=52),
        event(151, 1, "broker_removed", broker=3, reason="session_timeout", offset=52)]


def moved(trace, *acks):
    return phases.leaders_moved(sorted(trace, key=lambda e: e["t_ns"]), fault_ns=T0, hit=3,
                                survivors=[1, 2], acks_ns=[at(a) for a in acks])


def test_leaders_have_moved_with_the_last_batch_that_moves_any():
    found = moved(MOVE, 128, 140)
    assert found == pytest.approx({"detect": 0.1, "decide": 0.011, "commit": 0.009,
                                   "propagate": 0.003, "apply": 0.007, "ack": 0.01,
                                   "total": 0.14})


def test_a_survivor_that_never_applied_leaves_a_hole():
    trace = [e for e in MOVE if not (e["event"] == "metadata_applied" and e["node"] == 1)]
    assert moved(trace, 140)["apply"] is None


def test_a_change_ends_when_the_last_broker_has_applied_it():
    trace = [batch(5, "metadata_decided", 1, 0), batch(7, "metadata_decided", 2, 0),
             batch(10, "metadata_committed", 2, 0, 8), event(12, 1, "metadata_published", offset=8),
             event(13, 1, "metadata_applied", offset=7), event(14, 1, "metadata_applied", offset=8),
             event(15, 2, "metadata_published", offset=9), event(25, 2, "metadata_applied",
                                                                 offset=9)]
    found = phases.change(trace, asked_ns=T0, brokers=[1, 2])
    assert found == pytest.approx({"decide": 0.007, "commit": 0.003, "propagate": 0.005,
                                   "apply": 0.01, "total": 0.025})
    assert phases.change(trace, asked_ns=T0, brokers=[1, 2, 3])["total"] is None


def test_batches_are_followed_to_every_broker():
    trace = sorted([batch(10, "metadata_committed", 1, 0, 5), batch(20, "metadata_committed", 2, 0,
                                                                    6),
                    event(9, 1, "metadata_published", offset=5),
                    event(14, 2, "metadata_published", offset=5),
                    event(21, 1, "metadata_published", offset=6),
                    event(12, 1, "metadata_applied", offset=5),
                    event(30, 2, "metadata_applied", offset=7)], key=lambda e: e["t_ns"])
    found = phases.propagation(trace, [1, 2])
    assert found["publish"] == pytest.approx([0.004])  # The second never came to broker 2.
    assert found["apply"] == pytest.approx([0.02])


def test_a_restart_follows_the_broker_that_came_back():
    trace = [event(5, 2, "broker_registered", broker_epoch=1),
             event(20, 3, "replica_started", role="follower"),
             event(30, 3, "broker_registered", broker_epoch=9), event(70, 3, "broker_unfenced")]
    found = phases.restart(trace, start_ns=T0, node=3, ready_ns=at(90), in_sync_ns=at(100))
    assert found == pytest.approx({"recover": 0.02, "register": 0.01, "unfence": 0.04,
                                   "open": 0.02, "in_sync": 0.01, "total": 0.1})


def answer(*topics):
    items = b"".join(struct.pack(">h", len(n)) + n.encode() + struct.pack(">hh", code, -1)
                     for n, code in topics)
    return struct.pack(">iii", 1, 0, len(topics)) + items


def test_the_errors_of_topics_are_read_one_by_one():
    assert kafka_calls.creation_errors(answer(("a", 0), ("bc", 36))) == {"a": 0, "bc": 36}


def test_leaders_are_read_behind_the_brokers():
    text = lambda s: struct.pack(">h", len(s)) + s.encode()  # noqa: E731
    brokers = struct.pack(">i", 1) + struct.pack(">i", 1) + text("localhost") + struct.pack(
        ">ih", 9092, -1)
    partition = struct.pack(">hii", 0, 4, 2) + struct.pack(">iii", 2, 1, 2) + struct.pack(
        ">iii", 2, 2, 1)
    body = (struct.pack(">ii", 1, 0) + brokers + text("cluster") + struct.pack(">i", 1)
            + struct.pack(">ih", 1, 0) + text("t") + b"\0" + struct.pack(">i", 1) + partition)
    assert kafka_calls.parse_leaders(body) == {4: kafka_calls.Leader(2, (2, 1))}


def test_the_first_ack_of_a_partition_is_of_a_record_sent_after_the_fault():
    sent = np.array([at(-5), at(5), at(7), at(6)])
    done = np.array([at(2), at(50), at(40), at(9)])
    operations = Operations(
        ids=np.arange(4), processes=np.zeros(4), partitions=np.array([0, 0, 0, 1]),
        offsets=np.arange(4), intended=sent, sent=sent, completed=done,
        outcomes=np.array(["ok", "ok", "ok", "info"]), topic="canary")
    assert canary.first_acks(operations, [0, 1], T0) == {"0": at(40)}


def rounds_of(monkeypatch, seconds_each, **parameters):
    """What is done at one size, when everything takes so long."""
    clock = [0.0]
    monkeypatch.setattr(control_plane.time, "monotonic", lambda: clock[0])
    trial = types.SimpleNamespace(parameters=parameters, seed=3, say=lambda words: None)
    plane = types.SimpleNamespace(trial=trial, profile="equal_budget")
    done = []
    for kind in control_plane.rounds(plane, ("killed", "frozen"), 1000):
        done.append(kind)
        clock[0] += seconds_each
    return done


def test_a_system_as_shipped_has_the_timeouts_of_where_it_comes_from():
    parameters = {"detection_ms": 2000}
    kraft = control_plane.node_config("as_shipped", parameters, "quorum", "kraft")
    assert kraft["controller.quorum.fetch.timeout.ms"] == "2000"
    assert kraft["controller.quorum.append.linger.ms"] == "25"
    zk = control_plane.node_config("as_shipped", parameters, "zk", "zab")
    assert zk["controller.quorum.election.timeout.ms"] == "10000"
    assert not any(key.startswith(("zookeeper.", "broker.")) for key in zk)  # A node's own.
    assert {m for _, m in control_plane.SYSTEMS.values()} == set(control_plane.SHIPPED)


def test_each_round_has_every_kind(monkeypatch):
    done = rounds_of(monkeypatch, 1, faults=9, seconds_per_size=100)
    assert len(done) == 18
    assert all(set(done[at:at + 2]) == {"killed", "frozen"} for at in range(0, 18, 2))
    assert len({tuple(done[at:at + 2]) for at in range(0, 18, 2)}) == 2


def test_rounds_end_with_their_time_but_there_are_two(monkeypatch):
    assert len(rounds_of(monkeypatch, 5, faults=9, seconds_per_size=45)) == 10
    assert len(rounds_of(monkeypatch, 50, faults=9, seconds_per_size=45)) == 4


def test_traces_are_settled_when_what_is_known_is_applied(tmp_path):
    path = tmp_path / "trace.ndjson"
    traces = control_plane.Traces({1: path})
    path.write_text(json.dumps(event(1, 1, "metadata_published", offset=4)) + "\n")
    assert not traces.is_settled([1], 0.0)
    with open(path, "a", encoding="utf-8") as file:
        file.write(json.dumps(event(2, 1, "metadata_applied", offset=4)) + "\n{\"torn")
    assert traces.is_settled([1], -1.0)
    assert [e["event"] for e in traces.take()] == ["metadata_published", "metadata_applied"]
    assert traces.take() == []


def test_traces_of_two_series_are_settled_when_they_are_quiet(tmp_path):
    path = tmp_path / "trace.ndjson"
    path.write_text(json.dumps(event(1, 1, "metadata_published", offset=4)) + "\n")
    traces = control_plane.Traces({1: path}, one_series=False)
    assert not traces.is_settled([1], 0.0)
    traces.news_at -= control_plane.ZK_QUIET_S
    assert traces.is_settled([1], 0.0)
    traces.expect_news()
    assert not traces.is_settled([1], 0.0)


def test_quiet_counts_from_when_it_is_waited_for(tmp_path, monkeypatch):
    traces = control_plane.Traces({1: tmp_path / "trace.ndjson"}, one_series=False)
    traces.news_at -= 100
    plane = types.SimpleNamespace(traces=traces, alive=[])
    asked = []
    monkeypatch.setattr(control_plane, "wait_for",
                        lambda holds, timeout, words: asked.append(holds()))
    control_plane.Plane.settle(plane)
    assert asked == [False]


def test_every_experiment_has_the_measures_that_it_gives():
    given = {"failures", "count"}
    for name in NAMES:
        chosen = definition.load(name)
        assert given <= set(chosen.measures), name
        assert chosen.measures["failures"].must_be_zero, name
        assert max(definition.numbers(chosen.parameters["partitions"].default)) >= 333_000, name


def test_sizes_are_said_in_few_letters():
    assert [reports.size_words(s) for s in (500, 1000, 333_000, 1_000_000)] == [
        "500", "1k", "333k", "1M"]


def test_an_answer_to_what_was_sent_beside_the_signal_ends_no_failover():
    line = {"fault_ns": T0, "silent_ns": at(30), "node": 1, "events": FAILOVER,
            "probe": [(at(1), at(3), ""), (at(60), at(150), ""), (at(70), at(160), "error 7")]}
    assert controller_failover._phases(line)["total"] == pytest.approx(0.15)
