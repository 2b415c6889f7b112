"""The experiment partition-replication without a cluster: its pure parts, and a run from raw lines
to figures and words."""

import gzip
import importlib
import json

import numpy as np

from experiments import definition, runner
from experiments.load_generator import Operations
from experiments.partition_replication import experiment, work
from experiments.partition_replication.work import Sent

NAME = "partition-replication"


def test_processor_time_is_found_behind_any_name():
    fields = ["S"] + ["0"] * 10 + ["250", "50"] + ["0"] * 30
    assert work.parse_stat(f"7 (a ) b (c) {' '.join(fields)}") == 300


SS = """0 0 127.0.0.1:40000 127.0.0.1:9192
\t bbr bytes_sent:5000 bytes_acked:5000 segs_out:90 data_segs_out:40 data_segs_in:3
0 0 127.0.0.1:9192 127.0.0.1:40000
\t bbr bytes_acked:1 segs_out:50
0 0 127.0.0.1:50000 127.0.0.1:22
\t bbr bytes_sent:777 data_segs_out:7
"""


def test_what_was_sent_is_counted_at_the_nodes_ports_alone():
    found = work.sockets(SS, [9092, 9192])
    assert found == {("127.0.0.1:40000", "127.0.0.1:9192"): Sent(40, 5000),
                     ("127.0.0.1:9192", "127.0.0.1:40000"): Sent(0, 0)}


def test_what_was_sent_meanwhile_counts_new_connections_and_forgets_those_that_ended():
    before = {("a", "b"): Sent(10, 100), ("gone", "b"): Sent(99, 99)}
    after = {("a", "b"): Sent(15, 150), ("new", "b"): Sent(2, 20)}
    assert work.sent_between(before, after) == Sent(7, 70)


def test_both_replicators_miss_a_leader_after_the_same_time():
    for system in experiment.REPLICATORS:
        config = experiment.node_config(system, {"detection_ms": 1000})
        assert {v for k, v in config.items() if k.endswith("timeout.ms")} == {"1000"}
        assert ("replicator.election.timeout.ms" in config) == (system == "consensus")
    sync = experiment.node_config("isr-sync", {"detection_ms": 1000})
    assert (sync["replicator"], sync["durability"]) == ("isr", "sync")


def operations(rows):
    """Rows of partition, intended, completed, outcome; in ms."""
    columns = list(zip(*rows, strict=True))
    times = [np.array(c, np.int64) for c in columns[:3]]
    ids = np.arange(len(rows))
    return Operations(ids, ids, times[0], ids, times[1] * 10**6, times[1] * 10**6,
                      times[2] * 10**6, np.array(columns[3]), "load")


def test_a_stall_is_of_records_that_fell_due_after_the_fault_on_what_the_dead_broker_led():
    found = operations([(1, 100, 3000, "ok"), (1, 2100, 3300, "ok"), (2, 2100, 9000, "ok"),
                        (1, 2200, 2900, "ok"), (3, 2200, 8000, "info")])
    assert experiment.stall(found, [1, 3], 2000 * 10**6) == {"seconds": 1.2, "never": 1, "led": 2}
    assert experiment.stall(found, [4], 0) == {"seconds": None, "never": 1, "led": 1}


def test_a_record_has_its_processor_time_where_the_load_was_carried():
    found = {"produce_p99_ms": 20.0, "acks_per_s": 10_000.0}
    assert experiment.busy_of(found, 0.5)["cpu_us"] == 50
    for late in ({"produce_p99_ms": 1500.0}, {"produce_p99_ms": None}, {"acks_per_s": 0.0}):
        assert experiment.busy_of({**found, **late}, 0.5)["cpu_us"] is None


def raw_line(partitions, latency):
    return {"point": {"partitions": str(partitions)},
            "busy": {"p99_ms": 9.0, "acks_per_s": 9000.0, "cpu_us": 40.0},
            "idle": {"cpu_ms": 12.0, "segments": 50.0 + partitions, "kib": None},
            "steady": {"produce_p50_ms": latency, "produce_p99_ms": latency * 4,
                       "fetch_p50_ms": latency, "fetch_p99_ms": latency * 4, "failed": 0.0,
                       "acks_per_s": 1000.0},
            "stall": {"seconds": 1.5, "never": 0.0, "led": 3.0}}


def leave_lines(directory, latency=2.0):
    with gzip.open(directory / "measurements.jsonl.gz", "wt") as out:
        for partitions in (1, 100):
            out.write(json.dumps(raw_line(partitions, latency)) + "\n")


def test_numbers_of_a_point(tmp_path):
    leave_lines(tmp_path)
    found = {(o.metric, *o.params.values()): o.value for o in experiment.observe(tmp_path, {})}
    assert found["idle_segments", "100"] == 150
    assert found["idle_kib", "1"] is None
    assert found["stall_s", "1"] == 1.5
    assert found["cpu_per_record_us", "1"] == 40
    assert found["produce_p99_ms", "100"] == 8


def test_a_run_says_what_both_replicators_cost(tmp_path, monkeypatch):
    chosen = definition.load(NAME)
    plan = definition.plan(chosen, quick=False, trials=2, overrides={"partitions": "1,100"})
    module = importlib.import_module(definition.module_of(NAME))
    monkeypatch.setattr(module, "run_trial", lambda trial: leave_lines(
        trial.directory, 5.0 if trial.cell["replicator"] == "consensus" else 2.0))
    summary = runner.run(chosen, plan, module, tmp_path)
    page = (summary.parent / "report.html").read_text()
    assert "consensus: 5 ms" in page and "isr-sync: 2 ms" in page
    assert {f.stem for f in (summary.parent / "figures").glob("*.png")} == {
        "load", "idle", "failover"}
