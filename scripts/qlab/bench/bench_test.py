"""The bench's own arithmetic: what fio said, medians, ratios, targets."""

import json

import pytest
from rich.console import Console

from qlab.bench import machine, programs, rows, table


def fio_said(**changes):
    side = {"bw_bytes": 40_960_000, "iops": 10_000.5,
            "lat_ns": {"percentile": {"50.000000": 95_000, "99.000000": 300_000}}}
    return "note: something\n" + json.dumps(
        {"jobs": [{"error": 0, "write": side, "read": side, **changes}]})


def test_fio_is_understood():
    found = programs.parse_fio(fio_said(), "write", "fio")
    assert (found.p50_us, found.p99_us) == (95.0, 300.0)
    assert (found.bytes_per_s, found.operations_per_s) == (40_960_000.0, 10_000.5)


@pytest.mark.parametrize("text, why", [
    (fio_said(error=5), "error 5"), ("fio: no such file", "not understood"),
    ('{"jobs": []}', "not understood")])
def test_a_fio_that_failed_is_an_error(text, why):
    with pytest.raises(programs.BenchError, match=why):
        programs.parse_fio(text, "write", "fio")


def row(values, limits, target=rows.Target(1.15, at_most=True), fails_at=None):
    ours, theirs = iter(values), iter(limits)

    def measure(settings, subject):
        value = next(ours)
        if value == fails_at:
            raise programs.BenchError("the disk is full")
        return {"value": value, "p99_us": 3 * value}

    return rows.Row("sync_append_4k", "us", "", lambda known: ["direct"], measure,
                    lambda settings: {"limit": next(theirs)}, {"direct": target})


def settings(tmp_path, **more):
    return rows.Settings(directory=tmp_path, rounds=3, seconds=1, warmup_s=0, **more)


def lines(the_row, tmp_path, **more):
    return list(rows.run(the_row, {"engines": [], "layouts": []}, settings(tmp_path, **more),
                         lambda text: None))


def test_a_ratio_is_the_median_of_the_rounds_own(tmp_path):
    # The machine was twice as slow in the second round, for both.
    line, = lines(row([100.0, 220.0, 105.0], [100.0, 200.0, 100.0]), tmp_path)
    said = line.as_json()
    assert list(said)[:6] == ["name", "engine", "value", "unit", "limit", "ratio"]
    assert said["value"] == 105.0 and said["limit"] == 100.0
    assert said["ratio"] == pytest.approx(1.05)
    assert (said["ratio_min"], said["ratio_max"]) == (pytest.approx(1.0), pytest.approx(1.1))
    assert said["p99_us"] == 315.0 and said["met"] is True


def test_who_has_no_target_sits_the_later_rounds_out(tmp_path):
    measured = rows.Row("sync_append_4k", "us", "", lambda known: ["direct", "mmap"],
                        lambda settings, subject: {"value": 100.0},
                        lambda settings: {"limit": 100.0}, {"direct": rows.Target(1)})
    five = rows.Settings(directory=tmp_path, rounds=5, seconds=1, warmup_s=0)
    found = list(rows.run(measured, {"engines": [], "layouts": []}, five, lambda text: None))
    assert [(line.engine, line.more["rounds"], line.ratio) for line in found] == [
        ("direct", 5, 1.0), ("mmap", 3, 1.0)]


def test_a_round_is_held_against_the_limit_of_the_same_round():
    ours = {0: {"value": 100.0}, 2: {"value": 400.0}}
    limits = {0: {"limit": 100.0}, 1: {"limit": 1.0}, 2: {"limit": 200.0}}
    line = rows.summarise(row([], []), "direct", ours, limits, None)
    assert (line.more["ratio_min"], line.more["ratio_max"]) == (1.0, 2.0)


@pytest.mark.parametrize("size", [0, 1, 1 << 20, (1 << 20) + 4096])
def test_a_file_of_zeros_is_as_long_as_was_asked(tmp_path, size):
    programs.write_zeros(tmp_path / "zeros", size)
    assert (tmp_path / "zeros").read_bytes() == bytes(size)


@pytest.mark.parametrize("target, met", [
    (rows.Target(1.05, at_most=True), False), (rows.Target(1.1, at_most=True), True),
    (rows.Target(1.1), True), (rows.Target(1.2), False)])
def test_a_target_is_met_up_to_its_bound(tmp_path, target, met):
    line, = lines(row([110.0] * 3, [100.0] * 3, target), tmp_path)
    assert line.more["met"] is met


def test_without_fio_the_rows_are_measured_and_say_why_there_is_no_limit(tmp_path, monkeypatch):
    monkeypatch.setattr(programs.shutil, "which", lambda name: None)
    line, = lines(row([100.0] * 3, []), tmp_path, with_fio=False)
    said = line.as_json()
    assert (said["value"], said["limit"], said["ratio"], said["met"]) == (100.0, None, None, None)
    assert "fio is not installed" in said["reason"]


def test_a_measurement_that_fails_is_told_and_ends_only_itself(tmp_path):
    line, = lines(row(["no"], [100.0] * 3, fails_at="no"), tmp_path)
    said = line.as_json()
    assert said["value"] is None and said["limit"] == 100.0
    assert said["reason"] == "the disk is full"


def test_the_table_names_value_limit_ratio_target_and_verdict(tmp_path):
    found = lines(row([100.0] * 3, [100.0] * 3), tmp_path)
    console = Console(width=120, record=True, file=open("/dev/null", "w", encoding="ascii"))
    table.show(found, console)
    said = console.export_text()
    for word in ("sync_append_4k", "direct", "100", "us", "<= 1.15", "met"):
        assert word in said


@pytest.mark.parametrize("value, text", [
    (None, "-"), (0.0, "0"), (1.0449, "1.04"), (93.51, "93.5"), (412345.6, "412 346")])
def test_numbers_have_three_digits(value, text):
    assert table.number(value) == text


def test_group_commits_shape_is_that_of_its_durable_steps():
    # 1000 syncs of 20 KiB each: blocks of 20 KiB, one at a time.
    line = {"bytes": 1000 * 20 * rows.KIB, "device_flushes": 1000, "device_writes": 3000}
    assert rows.resulting_shape("buffered", line) == (20 * rows.KIB, 1)
    # 1000 writes of 15.5 KiB, each durable by itself: four carry what 64 appenders wait for.
    line = {"bytes": 1000 * 15.5 * rows.KIB, "device_flushes": 400, "device_writes": 1000}
    assert rows.resulting_shape("direct", line) == (16 * rows.KIB, 4)
    assert rows.resulting_shape("direct", {**line, "device_writes": 1}) == (64 * rows.KIB, 1)


@pytest.mark.parametrize("memory, met", [(3e9, False), (1e9, True)])
def test_a_row_is_met_when_its_other_bounds_are_too(tmp_path, memory, met):
    bounded = rows.Row("shared_1m_streams", "records/s", "", lambda known: ["direct"],
                       lambda settings, subject: {"value": 80.0, "limit": 100.0,
                                                  "rss_peak_bytes": memory},
                       None, {"direct": rows.Target(0.7)},
                       bounds={"rss_peak_bytes": rows.Target(2e9, at_most=True)})
    line, = lines(bounded, tmp_path)
    assert (line.ratio, line.limit, line.more["met"]) == (0.8, 100.0, met)
    assert ("rss_peak_bytes: 3e+09 is not <= 2e+09" in line.more.get("reason", "")) is not met


def test_what_this_build_has_not_is_a_line_with_the_reason(tmp_path):
    missing = rows.Row("shared_1m_streams", "records/s", "", lambda known: [],
                       lambda settings, subject: {}, None)
    line, = lines(missing, tmp_path)
    assert line.value is None and "not in this build" in line.more["reason"]


def test_every_row_of_the_contract_is_there_once():
    assert [row.name for row in rows.ROWS] == [
        "sync_append_4k", "sync_append_1m", "group_commit_64x1k", "append_path_1k", "crc32c_64k",
        "recovery_scan", "shared_1m_streams"]


@pytest.mark.parametrize("shares, said", [([], False), ([0.1, 0.2], False), ([0.1, 0.6], True)])
def test_a_disturbed_run_is_told(shares, said):
    assert (machine.disturbance(shares) is not None) is said
