"""The bench's own arithmetic: what fio said, medians, ratios, targets."""

import json

import pytest
from rich.console import Console

from qlab.bench import programs, rows, table


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
        if value is fails_at:
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
