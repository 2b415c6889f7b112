"""The experiment partition-scaling without a cluster: its pure parts, and a run from raw lines to
figures and words."""

import gzip
import importlib
import json
from unittest import mock

import numpy as np
import pytest

from experiments import definition, runner
from experiments.kafka_calls import CallError, Topic
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
                           "end_to_end": {"p50": 0.6, "p99": p99 + 1}, "lag": {"p99": 0.1}},
            "measured": {"ok": 1000 - failed, "fail": failed, "info": 0, "offered": 1000},
            "measured_from_ns": 0, "offered_until_ns": 2_000_000_000}


def test_a_load_that_lost_one_record_in_a_hundred_has_no_p99(tmp_path):
    (tmp_path / "result.json").write_text(json.dumps(result(failed=10)))
    assert measuring.result_of(tmp_path)["produce_p99_ms"] == 4.0
    (tmp_path / "result.json").write_text(json.dumps(result(failed=11)))
    found = measuring.result_of(tmp_path)
    assert found["produce_p99_ms"] is None
    assert (found["failed"], found["acks_per_s"]) == (11.0, 494.5)
    assert found["lag_p99_ms"] == 0.1


def test_a_p99_that_one_bad_second_makes_may_as_well_have_come_out_low():
    intended = np.arange(20_000) * 1_000_000
    calm = np.full(20_000, 2.0)
    assert set(measuring.resampled_p99(intended, calm, seed=1)) == {2.0}
    calm[5_000:5_300] = 50.0  # More than a record in a hundred, all of them in the sixth second.
    drawn = measuring.resampled_p99(intended, calm, seed=1)
    assert len(drawn) == measuring.RESAMPLES
    assert 0.3 < drawn.count(2.0) / len(drawn) < 0.45  # (19/20)^20 of them have not drawn it.
    assert drawn == measuring.resampled_p99(intended, calm, seed=1)


def test_a_p99_of_nothing_is_none():
    assert measuring.resampled_p99(np.array([]), np.array([]), seed=1) == []


def test_lost_and_unread_records_are_the_latest_of_all(tmp_path):
    (tmp_path / "result.json").write_text(json.dumps({"measured_from_ns": 1_000_000}))
    with gzip.open(tmp_path / "history.jsonl.gz", "wt") as out:
        for id_ in range(3):  # The first is of the warm-up, the last is never acknowledged.
            value = {"topic": "load", "partition": 0, "id": id_, "intended": id_ * 1_000_000}
            op = {"index": id_, "time": id_ * 1_000_000, "process": 0, "value": value}
            out.write(json.dumps({**op, "type": "invoke"}) + "\n")
            done = {**op, "time": 4_000_000, "type": "info" if id_ == 2 else "ok"}
            out.write(json.dumps(done) + "\n")
    with gzip.open(tmp_path / "polls.jsonl.gz", "wt") as out:
        out.write(json.dumps({"time": 3_000_000, "partition": 0, "ids": [0, 1, 2]}) + "\n")
    found = measuring.resampled_of(tmp_path, seed=1)
    assert set(found["produce"]) == {None} and set(found["fetch"]) == {2.0}


@pytest.mark.parametrize("code", measuring.OPEN_ERRORS)
def test_topics_whose_fate_is_open_are_made_again(monkeypatch, code):
    answers = [{"a": 0, "b": code, "c": code}, {"b": 36, "c": 0}]
    asked = []

    def answer(_endpoint, topics, _timeout):
        asked.append([t.name for t in topics])
        return answers[len(asked) - 1]

    monkeypatch.setattr(measuring.kafka_calls, "try_create", answer)
    group = [Topic(name, 1, 1) for name in "abc"]
    assert measuring.grow(mock.MagicMock(), [group], 1) == 2
    assert asked == [["a", "b", "c"], ["b", "c"]]


@pytest.mark.parametrize(
    "answers", [[{"a": 36}], [{"a": 38}], [{"a": 7}] * 5, [{"a": 7}, {"a": 17}]])
def test_what_is_refused_ends_the_growth(monkeypatch, answers):
    left = list(answers)
    monkeypatch.setattr(measuring.kafka_calls, "try_create", lambda *_: left.pop(0))
    with pytest.raises(CallError, match="a: error"):
        measuring.grow(mock.MagicMock(), [[Topic("a", 1, 1)]], 1)
    assert left == []


def drawn(value):
    return {"produce": [value] * 3, "fetch": [value] * 3}


def raw_line(partitions, *, ratio):
    usage = {"rss_bytes": 20 << 20, "peak_bytes": 30 << 20, "descriptors": 20, "files": 8}
    grown = {**usage, "rss_bytes": (20 << 20) + 100 * partitions}
    load = {"produce_p50_ms": 0.5, "produce_p99_ms": 4.0, "fetch_p50_ms": 0.5, "fetch_p99_ms": 5.0,
            "acks_per_s": 1000.0, "failed": 0.0}
    return {"point": {"partitions": str(partitions)}, "created": partitions,
            "create_s": partitions / 1e4, "memory_before": {str(n): usage for n in (1, 2, 3)},
            "memory": {str(n): grown for n in (1, 2, 3)},
            "resampled_p99_ms": {"before": drawn(4.0), "after": drawn(4.0),
                                 "meanwhile": {"produce": [4.0, 8.0, 12.0], "fetch": [None] * 3}},
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
    assert found["p99_ratio_low", "1000", "produce", "meanwhile"] == 1
    assert found["p99_ratio_high", "1000", "produce", "meanwhile"] == 3
    assert found["p99_ratio_high", "1000", "fetch", "meanwhile"] is None


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
    assert "2 times that of before (1 to 3)" in page
    assert {f.stem for f in (summary.parent / "figures").glob("*.png")} == {
        "memory", "times", "latency", "meanwhile"}
