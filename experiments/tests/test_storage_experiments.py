"""The storage experiments with a measuring program that is not there: from its lines to numbers,
figures and words."""

import contextlib
import importlib
import json
import os

import pytest

from experiments import definition, runner, storage_bench

ENGINE_US = {"null": 1, "memory": 2, "buffered": 150, "mmap": 160, "uring": 140, "direct": 110}
FIO_US = 100.0


def line(bench, **more):
    return {"bench": bench, **more}


def append_line(values):
    p50 = float(ENGINE_US[values["engine"]])
    return line("append", operations_per_s=1e6 / p50, bytes_per_s=int(values["size"]) * 1e6 / p50,
                cpu_us_per_operation=p50 / 4, write_amplification_device=2.0,
                latency={"p50_us": p50, "p99_us": 2 * p50, "p999_us": 3 * p50,
                         "histogram": "HISTFAAAAB942pNpmSzMwMDAxQABzFCaEUoz2X+AsYFKMgEAQaoBKw=="})


def partitions_lines(values):
    count = int(values["partitions"])
    shared = values["layout"] == "shared"
    append = {"operations_per_s": 1e6 if shared else 1e6 / count,
              "latency": {"p50_us": 100.0, "p99_us": 900.0}}
    return [line("partitions", **append, rss_bytes=count << 10, kernel_slab_bytes=2 << 20,
                 before={"kernel_slab_bytes": 1 << 20}, descriptors=9,
                 creation={"elapsed_s": count / 1e3}, first_appends={"elapsed_s": 0.5}),
            line("partitions_recovery", elapsed_s=count / 1e5, files=3 * count)]


def recovery_lines(values):
    size = int(values["bytes"].rstrip("m"))
    killed = values["end"] == "killed"
    return [line("recovery", elapsed_s=size / 500 if killed else 0.002, bytes_scanned=size << 20,
                 scan_bytes_per_s=5e8 if killed else None,
                 phases_s={"scan": size / 600, "sync": 0.01, "list": 1e-6})]


def fake_measure(mode, **values):
    if mode == "append":
        return [append_line(values)]
    return partitions_lines(values) if mode == "partitions" else recovery_lines(values)


@pytest.fixture
def no_program(monkeypatch):
    monkeypatch.setattr(storage_bench, "measure", fake_measure)
    monkeypatch.setattr(storage_bench, "fio_writes", lambda directory, **_: line(
        "fio", operations_per_s=1e6 / FIO_US, bytes_per_s=1e9,
        latency={"p50_us": FIO_US, "p99_us": 2 * FIO_US}))
    monkeypatch.setattr(storage_bench, "fio_read", lambda directory, size: line(
        "fio", bytes_per_s=1e9, elapsed_s=size / 1e9))
    monkeypatch.setattr(storage_bench, "distribution", lambda _: ([1.0, 2.0], [0.5, 1.0]))


def run(name, tmp_path, trials=2, **overrides):
    chosen = definition.load(name)
    plan = definition.plan(chosen, quick=False, overrides=overrides, trials=trials)
    module = importlib.import_module(definition.module_of(name))
    summary = runner.run(chosen, plan, module, tmp_path)
    return json.loads(summary.read_text()), summary.parent


def median(rows, metric, system, **params):
    found = [r["median"] for r in rows
             if (r["metric"], r["system"], r["params"]) == (metric, system, params)]
    assert len(found) == 1, (metric, system, params)
    return found[0]


def drawn(name, directory):
    """Every figure that the definition promises is there, in a report that names it."""
    page = (directory / "report.html").read_text()
    for figure in definition.load(name).figures:
        assert (directory / "figures" / f"{figure.name}.svg").exists(), figure.name
        assert figure.title in page
    return page


def test_latency_stands_beside_the_limit(no_program, tmp_path):
    rows, directory = run("storage-latency", tmp_path, sizes="4096,65536")
    point = {"size": "4096", "concurrency": "1", "durability": "sync"}
    assert median(rows, "append_latency_us", "direct", **point, quantile="0.5") == 110
    assert median(rows, "append_latency_us", "fio", **point, quantile="0.99") == 200
    assert median(rows, "cpu_per_append_us", "uring", **point) == 35
    page = drawn("storage-latency", directory)
    assert "fio makes a block of 4 KiB durable in 100 us" in page
    assert "direct takes 1.1 times (1.1 to 1.1) as long" in page


def test_preallocation_is_compared_within_a_file_system(no_program, tmp_path, monkeypatch):
    module = importlib.import_module("experiments.storage_preallocation.experiment")

    @contextlib.contextmanager
    def only_here(name, scratch):
        if name != "here":
            raise runner.Unavailable(f"no {name}")
        yield scratch

    monkeypatch.setattr(module, "_file_system", only_here)
    rows, directory = run("storage-preallocation", tmp_path, trials=1)
    assert median(rows, "append_latency_us", "here/mmap/zeros", size="4096", quantile="0.5") == 160
    assert not any(r["median"] for r in rows if r["metric"] == "trials_failed")
    page = drawn("storage-preallocation", directory)
    assert "ext4/direct/none is missing: no ext4" in page
    assert "direct with none on here (110 us)" in page


def test_partitions_are_followed_to_the_most_there_are(no_program, tmp_path):
    rows, directory = run("storage-partitions", tmp_path, partitions="1,1000,100000",
                          active_max="1000")
    assert median(rows, "append_rate", "shared", partitions="100000") == 1e6
    assert median(rows, "memory_mib", "shared", partitions="1000") == pytest.approx(1000 / 1024)
    assert median(rows, "recovery_s", "per_partition", partitions="1000") == 0.01
    assert median(rows, "first_append_s", "per_partition", partitions="100000") == 0.5
    page = drawn("storage-partitions", directory)
    assert "with 100\u202f000 partitions per_partition reaches" in page.lower()


def test_partitions_want_room_for_their_files(no_program, tmp_path, monkeypatch):
    module = importlib.import_module("experiments.storage_partitions.experiment")
    full = os.statvfs_result((4096, 4096, 1 << 30, 1 << 30, 1 << 30, 1000, 1000, 1000, 0, 255))
    monkeypatch.setattr(module.os, "statvfs", lambda _: full)
    rows, directory = run("storage-partitions", tmp_path, partitions="1,1000", trials=1)
    assert not [r for r in rows if r["metric"] == "append_rate" and r["system"] == "per_partition"]
    assert median(rows, "append_rate", "shared", partitions="1000") == 1e6
    assert "1000 inodes are free" in (directory / "report.html").read_text()


def test_recovery_stands_beside_a_plain_read(no_program, tmp_path):
    rows, directory = run("storage-recovery", tmp_path, megabytes="64,1000")
    assert median(rows, "recovery_s", "shared/direct", megabytes="1000", end="killed") == 2
    assert median(rows, "phase_s", "shared/direct", megabytes="1000", end="killed",
                  phase="sync") == 0.01
    page = drawn("storage-recovery", directory)
    assert "shared/direct 2 s after a kill, 1.91 times" in page


def test_a_measurement_that_fails_is_a_failed_trial(no_program, tmp_path, monkeypatch):
    def broken(mode, **values):
        if values["engine"] == "uring":
            raise storage_bench.programs.BenchError("the disk is gone")
        return fake_measure(mode, **values)

    monkeypatch.setattr(storage_bench, "measure", broken)
    with pytest.raises(runner.TrialsFailed, match="uring"):
        run("storage-latency", tmp_path, trials=1, sizes="4096")


def test_a_point_that_measured_nothing_has_no_numbers():
    nothing = line("append", operations=0, operations_per_s=None, bytes_per_s=None,
                   cpu_us_per_operation=None, latency={"p50_us": 0, "p99_us": 0, "p999_us": 0})
    assert storage_bench.append_numbers(nothing) == {}


def test_an_engine_that_the_machine_refuses_is_unavailable(monkeypatch):
    def refused(arguments, **_):
        raise storage_bench.programs.BenchError("status 1: unsupported: no io_uring here")

    monkeypatch.setattr(storage_bench.programs, "measure", refused)
    with pytest.raises(runner.Unavailable, match="no io_uring"):
        storage_bench.measure("append", engine="uring")
