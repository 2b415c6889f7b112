"""The experiment partition-scaling without a cluster: its pure parts, and a run from raw lines to
figures and words."""

import gzip
import importlib
import json

import pytest

from experiments import definition, runner
from experiments.kafka_calls import Topic
from experiments.partition_scaling import experiment, measuring

NAME = "partition-scaling"


def test_topics_have_as_many_partitions_together_as_was_asked_for():
    topics = measuring.topics_of(2500, 1000, 3)
    assert [t.partitions for t in topics] == [1000, 1000, 500]
    assert len({t.name for t in topics}) == 3
    assert {t.replication_factor for t in topics} == {3}
    assert [t.partitions for t in measuring.topics_of(2000, 1000, 1)] == [1000, 1000]


def test_a_request_makes_no_more_partitions_than_it_may():
    topics = [Topic(str(n), size, 1) for n, size in enumerate([40, 40, 40, 500, 10])]
    groups = measuring.requests_of(topics, 100)
    assert [[t.partitions for t in group] for group in groups] == [[40, 40], [40], [500], [10]]


def test_memory_is_read_in_bytes():
    text = "Name:\tqlab-node\nVmHWM:\t  2048 kB\nVmRSS:\t  1024 kB\nThreads:\t9\n"
    assert measuring.parse_status(text) == (1 << 20, 2 << 20)
    with pytest.raises(KeyError):
        measuring.parse_status("Name:\tqlab-node\n")


def result(*, failed=0, p99=4.0):
    return {"latency_ms": {"response": {"p50": 0.5, "p99": p99},
                           "end_to_end": {"p50": 0.6, "p99": p99 + 1}},
            "measured": {"ok": 1000 - failed, "fail": failed, "info": 0, "offered": 1000},
            "measured_from_ns": 0, "offered_until_ns": 2_000_000_000}


def test_a_load_that_lost_one_record_in_a_hundred_has_no_p99(tmp_path):
    (tmp_path / "result.json").write_text(json.dumps(result(failed=10)))
    assert measuring.result_of(tmp_path)["produce_p99_ms"] == 4.0
    (tmp_path / "result.json").write_text(json.dumps(result(failed=11)))
    found = measuring.result_of(tmp_path)
    assert found["produce_p99_ms"] is None
    assert (found["failed"], found["acks_per_s"]) == (11.0, 494.5)


def raw_line(partitions, *, ratio):
    usage = {"rss_bytes": 20 << 20, "peak_bytes": 30 << 20, "descriptors": 20, "files": 8}
    grown = {**usage, "rss_bytes": (20 << 20) + 100 * partitions}
    load = {"produce_p50_ms": 0.5, "produce_p99_ms": 4.0, "fetch_p50_ms": 0.5, "fetch_p99_ms": 5.0,
            "acks_per_s": 1000.0, "failed": 0.0}
    return {"point": {"partitions": str(partitions)}, "created": partitions,
            "create_s": partitions / 1e4, "memory_before": {str(n): usage for n in (1, 2, 3)},
            "memory": {str(n): grown for n in (1, 2, 3)}, "throughput": 20_000.0,
            "loads": {"before": load, "after": load,
                      "meanwhile": {**load, "produce_p99_ms": 4.0 * ratio}},
            "restart_s": {"stopped": 1.0, "killed": 2.0}}


def leave_lines(directory):
    with gzip.open(directory / "measurements.jsonl.gz", "wt") as out:
        for partitions in (1000, 1_000_000):
            out.write(json.dumps(raw_line(partitions, ratio=2)) + "\n")


def test_numbers_of_a_point(tmp_path):
    leave_lines(tmp_path)
    found = {(o.metric, *o.params.values()): o.value for o in experiment.observe(tmp_path, {})}
    assert found["bytes_per_partition", "1000000"] == 300
    assert found["memory_mib", "1000"] == pytest.approx(60 + 0.3 / 1.048576, rel=1e-3)
    assert found["p99_ratio", "1000", "produce", "meanwhile"] == 2
    assert found["p99_ratio", "1000", "fetch", "meanwhile"] == 1
    assert found["restart_s", "1000", "killed"] == 2


def test_a_cluster_that_did_not_grow_has_no_time_of_growth(tmp_path):
    line = raw_line(1000, ratio=1)
    del line["created"], line["create_s"]
    with gzip.open(tmp_path / "measurements.jsonl.gz", "wt") as out:
        out.write(json.dumps(line) + "\n")
    found = {o.metric: o.value for o in experiment.observe(tmp_path, {})}
    assert found["create_s"] is None and found["bytes_per_partition"] is None


def test_a_run_says_what_the_largest_cluster_takes(tmp_path, monkeypatch):
    chosen = definition.load(NAME)
    plan = definition.plan(chosen, quick=False, trials=2, overrides={
        "plane": "kraft,raft", "copies": "1", "layout": "shared", "partitions": "1000,1000000"})
    module = importlib.import_module(definition.module_of(NAME))
    monkeypatch.setattr(module, "run_trial", lambda trial: leave_lines(trial.directory))
    summary = runner.run(chosen, plan, module, tmp_path)
    page = (summary.parent / "report.html").read_text()
    assert "come in 100 s, with a p99 of produce requests meanwhile 2 times" in page
    assert {f.stem for f in (summary.parent / "figures").glob("*.png")} == {
        "memory", "times", "latency", "meanwhile"}
