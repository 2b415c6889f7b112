"""What the reports of the control-plane experiments say and draw, from numbers that are known."""

from __future__ import annotations

import types

import pytest

from experiments import control_plane_report as reports
from experiments import stats
from experiments.metadata_propagation import experiment as propagation
from experiments.report import Observation, number

KILLED = {"profile": "equal_budget", "fault": "killed"}
FROZEN = {"profile": "equal_budget", "fault": "frozen"}


def run_of(times, **parameters):
    """`times`: (system, size, condition) -> seconds."""
    trials = [types.SimpleNamespace(system=system, observations=[
        Observation("t_s", value, {"partitions": str(size), **condition}) for value in values])
        for (system, size, condition), values in times]
    summary = [{"metric": "t_s", "params": o.params} for t in trials for o in t.observations]
    return types.SimpleNamespace(
        trials=trials, summary=summary, state={"seed": 1}, systems=["kraft", "zk"],
        parameters={"partitions": "1000,10000", **parameters})


RUN = run_of([(("kraft", 1000, KILLED), [0.01, 0.01]), (("kraft", 10000, KILLED), [0.02, 0.02]),
              (("zk", 1000, KILLED), [0.04, 0.04]), (("zk", 10000, KILLED), [0.4, 0.4]),
              (("zk", 1000, FROZEN), [3.0, 3.0])])


def test_systems_are_compared_at_the_same_size():
    said = reports.say_beside(RUN, "t_s", KILLED)
    assert said == ("Beside kraft at the same number of partitions: zk 4 times (4 to 4) at 1k, "
                    "20 times (20 to 20) at 10k.")
    assert reports.say_beside(RUN, "t_s", FROZEN) == ""


def test_every_condition_that_was_measured_is_said():
    said = reports.say_all(RUN, "t_s")
    assert "Equal budget, killed: kraft: 10 ms (95 % CI 10 to 10) at 1k partitions; at" in said
    assert "Equal budget, frozen: zk: 3 s (95 % CI 3 to 3) at 1k partitions." in said


@pytest.mark.parametrize(("parameters", "wanted"), [
    ({"profiles": "both", "kinds": "both"}, KILLED),
    ({"profiles": "equal_budget", "kinds": "frozen"}, FROZEN),
    ({"profiles": "as_shipped"}, {"profile": "as_shipped", "fault": "killed"})])
def test_headlines_are_of_what_the_run_has(parameters, wanted):
    assert reports.primary(run_of([], **parameters), KILLED) == wanted


def test_a_condition_without_faults_gets_none():
    assert reports.primary(run_of([], kinds="frozen"), {"profile": "equal_budget"}) == {
        "profile": "equal_budget"}


@pytest.mark.parametrize(("seconds", "words"), [(2.5, "2.5 s"), (0.0123, "12.3 ms"),
                                                (-0.0005, "-0.5 ms")])
def test_short_times_are_said_in_milliseconds(seconds, words):
    assert reports.duration_words(stats.Estimate(1, seconds, None, None)).startswith(words + " (")


def test_large_numbers_are_grouped():
    assert number(1234567.5) == number(1234568) == "1\u202f234\u202f568"


def test_a_trial_gives_a_median_of_each_stretch():
    assert propagation.window_medians([float(n) for n in range(100)]) == [
        4.0 + 10 * n for n in range(10)]
    assert propagation.window_medians([1.0, 2.0]) == [1.0, 2.0]
