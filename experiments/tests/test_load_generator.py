"""qlab-load against librdkafka's mock brokers, as processes."""

import json
import subprocess
import time
from contextlib import contextmanager

import pytest

from experiments import histogram, load_generator, stats
from experiments.load_generator import LoadGenerator, load_operations, load_read_back
from experiments.raw_data import lines
from harness import checkers

pytestmark = pytest.mark.cluster


@contextmanager
def mock_cluster(partitions=3):
    """Yields bootstrap servers and a function that gives the cluster an order."""
    program = load_generator.binary().parent / "mock_cluster"
    with subprocess.Popen([str(program), "load", str(partitions), "3"], stdin=subprocess.PIPE,
                          stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as process:
        def order(words):
            process.stdin.write(words + "\n")
            process.stdin.flush()
            assert process.stdout.readline() == f"done {words}\n"

        yield process.stdout.readline().strip(), order
        process.stdin.close()


def test_what_is_sent_is_recorded_measured_and_read_back_whole(tmp_path):
    with mock_cluster() as (bootstrap, _):
        with LoadGenerator("produce", bootstrap, tmp_path, rate=400, warmup=0.5,
                           arrivals="poisson") as load:
            began = load.wait_measuring(20)
            time.sleep(1.5)
        load_generator.read_all(bootstrap, "load", tmp_path)
    operations = load_operations(tmp_path)
    result = json.loads((tmp_path / "result.json").read_text())
    assert result["measured_from_ns"] == began
    assert result["all"]["offered"] == result["all"]["ok"] == len(operations) > 600
    assert (operations.sent >= operations.intended).all()
    verdicts = checkers.check(operations.sends(), load_read_back(tmp_path))
    assert checkers.worst(verdicts.values()) is checkers.Validity.TRUE
    assert verdicts["lost"].checked == len(operations)

    measured = operations.response_ms[operations.intended >= began]
    response = histogram.load_log(tmp_path / "latency.hlog")["response"]
    assert response.count == len(measured)
    for q in (0.5, 0.99, 1.0):  # The C++ histogram, decoded here, agrees with the history.
        assert response.value_at(q) / 1e6 == pytest.approx(stats.quantile(measured, q), rel=2e-3)
    windows = list(lines(tmp_path / "windows.jsonl"))
    assert sum(w["ok"] for w in windows) == sum(w["acked"] for w in windows) == len(operations)
    seen = [i for p in lines(tmp_path / "polls.jsonl") for i in p["ids"]]
    assert sorted(seen) == sorted(operations.ids.tolist())


def test_an_outage_delays_every_record_that_falls_due_in_it(tmp_path):
    with mock_cluster(partitions=1) as (bootstrap, order):
        with LoadGenerator("produce", bootstrap, tmp_path, rate=200, warmup=0.3,
                           message_timeout_ms=20_000, consume=False) as load:
            load.wait_measuring(20)
            for id_ in (1, 2, 3):
                order(f"down {id_}")
            time.sleep(1.0)
            for id_ in (1, 2, 3):
                order(f"up {id_}")
            time.sleep(0.7)
    operations = load_operations(tmp_path)
    assert operations.ok.all()
    # An open loop sees the stall in about a second's worth of records, not in one.
    assert (operations.response_ms > 200).sum() > 100


def test_records_that_time_out_are_counted_and_never_dropped(tmp_path):
    with mock_cluster(partitions=1) as (bootstrap, order):
        with LoadGenerator("produce", bootstrap, tmp_path, rate=100, warmup=0.3, consume=False,
                           message_timeout_ms=300, idempotence=False) as load:
            load.wait_measuring(20)
            for id_ in (1, 2, 3):
                order(f"down {id_}")
            time.sleep(1.0)
    operations = load_operations(tmp_path)
    result = json.loads((tmp_path / "result.json").read_text())
    bad = int((~operations.ok).sum())
    assert bad > 50
    assert result["all"]["fail"] + result["all"]["info"] == bad
    assert result["all"]["errors"] == {"_MSG_TIMED_OUT": bad}
    censored = histogram.load_log(tmp_path / "latency.hlog")["censored"]
    assert censored.count == bad
    assert censored.value_at(1.0) >= 290e6


def test_a_cluster_that_is_not_there_is_a_clear_error(tmp_path):
    with pytest.raises(load_generator.LoadError, match="no leader for every partition of load"):
        with LoadGenerator("produce", "127.0.0.1:9", tmp_path, connect_timeout_ms=300) as load:
            load.wait_measuring(20)


def test_an_output_directory_is_not_overwritten(tmp_path):
    (tmp_path / "result.json").write_text("{}")
    with pytest.raises(load_generator.LoadError, match="holds a result.json already"):
        with LoadGenerator("produce", "127.0.0.1:9", tmp_path) as load:
            load.wait_measuring(20)
