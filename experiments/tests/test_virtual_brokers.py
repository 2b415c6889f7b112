"""Figures over the number of brokers: what is refused, and where the numbers come to stand."""

from __future__ import annotations

import types

import pytest

from experiments import control_plane, definition
from experiments import control_plane_report as reports
from experiments.broker_crash import experiment as broker_crash
from experiments.runner import Unavailable


def trial(**parameters):
    return types.SimpleNamespace(parameters=parameters, directory=None, cell={"system": "kraft"})


def test_several_numbers_of_brokers_and_of_partitions_are_refused(monkeypatch):
    monkeypatch.setattr(control_plane, "Recorder", lambda trial: None)
    with pytest.raises(Unavailable, match="brokers=3,10 with partitions=1000,10000; allowed: one"):
        control_plane.run_sizes(trial(brokers="3,10", partitions="1000,10000"), None,
                                replication_factor=1)


def test_virtual_brokers_are_not_frozen():
    with pytest.raises(Unavailable, match="add --set kinds=killed"):
        broker_crash.run_trial(trial(brokers="3,10", partitions="1000", kinds="both"))


def test_each_number_of_brokers_is_a_cluster_and_a_point_of_its_own(monkeypatch):
    made, lines = [], []

    class Fake:
        def __init__(self, trial, profile, replication_factor, brokers):
            made.append(brokers)

        def __enter__(self):
            return self

        def __exit__(self, *_):
            pass

    monkeypatch.setattr(control_plane, "Recorder", lambda trial: None)
    monkeypatch.setattr(control_plane, "Plane", Fake)
    control_plane.run_sizes(
        trial(brokers="30,3", partitions="1000", profiles="equal_budget"),
        lambda plane, record, point: lines.append((plane.size, point)), replication_factor=1)
    assert made == [3, 30]
    assert lines == [(1000, {"brokers": 3, "profile": "equal_budget"}),
                     (1000, {"brokers": 30, "profile": "equal_budget"})]


@pytest.mark.parametrize(("brokers", "axis", "sizes"), [
    ({}, "partitions", [1000, 5000]), ({"brokers": "3"}, "partitions", [1000, 5000]),
    ({"brokers": "3,10"}, "brokers", [3, 10]), ({"brokers": "10"}, "brokers", [10])])
def test_a_run_is_drawn_over_what_it_varies(brokers, axis, sizes):
    run = types.SimpleNamespace(parameters={"partitions": "1000,5000", **brokers})
    assert reports.axis(run) == axis and reports.sizes(run) == sizes


@pytest.mark.parametrize("name", ["metadata-propagation", "broker-crash"])
def test_numbers_of_brokers_have_bounds(name):
    brokers = definition.load(name).parameters["brokers"]
    assert brokers.parse("3,100") == "3,100"
    with pytest.raises(definition.ConfigError, match="brokers=2: allowed is whole numbers from 3"):
        brokers.parse("2")
