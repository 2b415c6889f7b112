"""Quickstart's analysis, figures and report from synthetic raw data."""

import json
import types

import pytest

from experiments import definition, report, runner
from experiments.quickstart import analysis
from experiments.phases import PHASES
from experiments.tests import synthetic

DEFINITION = definition.load("quickstart")


def observed(directory, **damage):
    synthetic.write_trial(directory, seed=1, **damage)
    found = {}
    for o in analysis.observe(directory, {"steady_s": 4.0}):
        found[o.metric, *o.params.values()] = o.value
    return found


def test_a_clean_trial_gives_its_latency_phases_and_zeros(tmp_path):
    found = observed(tmp_path, latency_ms=2.0)
    assert found["produce_latency_ms", "0.5"] == pytest.approx(2.0, rel=0.1)
    assert found["produce_latency_ms", "0.999"] < 10  # The stall after the kill is not steady.
    assert found["end_to_end_latency_ms", "0.5"] == pytest.approx(7.0, rel=0.1)
    assert found["achieved_rate",] == pytest.approx(200, rel=0.02)
    assert found["schedule_lag_ms", "0.99"] == pytest.approx(0.1)
    assert found["acked_records",] == 2400
    for metric in ("acked_lost", "acked_duplicated", "acked_reordered", "other_anomalies",
                   "acked_unexamined", "unacked_records"):
        assert found[metric,] == 0


def test_phases_come_from_the_traces_of_all_nodes(tmp_path):
    found = observed(tmp_path)
    killed = {phase: found["unavailability_s", "partition_leader", phase]
              for phase in (*PHASES, "total")}
    assert killed == pytest.approx({"detect": 0.5, "elect": 0.01, "commit": 0.05, "propagate": 0.04,
                                    "first_ack": 0.2, "total": 0.8})
    assert found["unavailability_s", "controller", "propagate"] == pytest.approx(0.07)
    assert found["unavailability_s", "controller", "total"] == pytest.approx(0.45)
    assert 0.8 <= found["produce_stall_s", "partition_leader"] < 0.9
    assert found["produce_stall_s", "controller"] < 0.1
    assert found["in_sync_s", "partition_leader"] == pytest.approx(0.5)


@pytest.mark.parametrize("damage, metric, count", [
    ({"drop_ids": (7, 8)}, "acked_lost", 2), ({"repeat_ids": (7,)}, "acked_duplicated", 1),
    ({"swap": True}, "acked_reordered", 3), ({"swap": True}, "other_anomalies", 6)])
def test_each_kind_of_damage_is_counted(tmp_path, damage, metric, count):
    assert observed(tmp_path, **damage)[metric,] == count


def test_a_record_with_an_unknown_outcome_is_counted_and_its_wait_stays(tmp_path):
    slow = tuple(range(300, 320))
    found = observed(tmp_path, fail_ids=slow)
    assert found["unacked_records",] == 20
    assert found["acked_records",] == 2380
    assert found["acked_lost",] == 0


def synthetic_run(tmp_path, trials=2, **damage):
    """A run whose trials write synthetic data; uring is a little slower here."""
    def run_trial(trial):
        slow = trial.cell["engine"] == "uring"
        synthetic.write_trial(trial.directory, seed=trial.seed, latency_ms=3.0 if slow else 2.0,
                              **(damage if trial.number == 2 else {}))

    module = types.SimpleNamespace(run_trial=run_trial, observe=analysis.observe,
                                   draw=analysis.draw)
    plan = definition.plan(DEFINITION, quick=True, overrides={}, trials=trials)
    return runner.run(DEFINITION, plan, module, tmp_path), module


def test_a_run_has_every_row_figure_and_sentence(tmp_path):
    summary, module = synthetic_run(tmp_path, trials=5)
    rows = json.loads(summary.read_text())
    keys = {(r["metric"], r["system"], *r["params"].values()) for r in rows}
    for engine in ("buffered", "uring"):
        assert {("produce_latency_ms", engine, q) for q in ("0.5", "0.99", "0.999")} <= keys
        assert {("unavailability_s", engine, killed, phase)
                for killed in ("partition_leader", "controller")
                for phase in (*PHASES, "total")} <= keys
        assert {(m, engine) for m in ("acked_lost", "acked_duplicated", "acked_reordered")} <= keys
    for figure in DEFINITION.figures:
        for suffix in ("svg", "png"):
            assert (summary.parent / "figures" / f"{figure.name}.{suffix}").stat().st_size > 2000
    page = (summary.parent / "report.html").read_text()
    assert "the intervals do not meet" in page
    assert "24\u202f000 records were acknowledged in 10 trials" in page
    assert "Read back afterwards: 0 lost, 0 duplicated, 0 reordered." in page
    assert page.count("data:image/svg+xml;base64,") == 3
    assert "http://" not in page and "https://" not in page  # Nothing from elsewhere.
    before = {p: p.read_bytes() for p in (summary.parent / "figures").iterdir()}
    report.build(summary.parent, module)
    assert {p: p.read_bytes() for p in (summary.parent / "figures").iterdir()} == before


def test_a_lost_record_is_the_first_thing_that_the_report_says(tmp_path):
    summary, _ = synthetic_run(tmp_path, drop_ids=(11,))
    page = (summary.parent / "report.html").read_text()
    assert "acked_lost is 1" in page
    assert "Read back afterwards: 1 lost" in page


def test_a_partition_that_never_came_back_is_not_hidden_by_the_others(tmp_path):
    summary, _ = synthetic_run(tmp_path, lose_partition=True)
    page = (summary.parent / "report.html").read_text()
    assert "In 1 of 4 trials no ack came before the load ended" in page
    assert "further records failed or have an unknown outcome" in page
    rows = [r for r in json.loads(summary.read_text()) if r["metric"] == "unavailability_s"
            and r["params"] == {"killed": "partition_leader", "phase": "total"}]
    assert sorted(r["n"] for r in rows) == [1, 2]


def test_intervals_of_few_trials_are_not_compared(tmp_path):
    summary, _ = synthetic_run(tmp_path, trials=2)
    page = (summary.parent / "report.html").read_text()
    assert "too few trials to tell them apart" in page
    assert "the intervals" not in page.split("What was done")[0]


def test_every_parameter_of_the_definition_is_within_its_own_bounds():
    for p in DEFINITION.parameters.values():
        for value in (p.default, p.quick):
            if value is not None:
                assert p.parse(str(value)) == value
