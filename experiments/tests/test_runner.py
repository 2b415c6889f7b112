"""The runner with an experiment that takes no time."""

import json
import types
from collections import Counter
from dataclasses import replace

import click
import pytest

from experiments import definition, report, runner
from experiments.definition import ConfigError, Definition, Measure, Parameter, Plan

TOY = Definition(
    name="toy", title="Toy", question="Does it run?", method="It runs.",
    axes={"engine": ("a", "b"), "size": ("1", "2")},
    axis_meanings={"engine": "which", "size": "how large"},
    parameters={"rate": Parameter("rate", 100, "load", minimum=1, maximum=1000, quick=10),
                "mode": Parameter("mode", "x", "how", allowed=("x", "y")),
                "sizes": Parameter("sizes", "1,2", "many", minimum=1, maximum=9)},
    trials=4, trials_quick=2,
    measures={"speed": Measure("speed", "m/s", "how fast"),
              "broken": Measure("broken", "things", "how many", "total", must_be_zero=True)},
    figures=(), limits=("None.",))


def toy_module(run_trial=None, broken=0):
    def write(trial):
        (trial.directory / "speed").write_text(str(trial.number))

    def observe(directory, parameters):
        return [report.Observation("speed", float((directory / "speed").read_text())),
                report.Observation("speed", None, {"part": "missing"}),
                report.Observation("broken", broken)]

    return types.SimpleNamespace(run_trial=run_trial or write, observe=observe,
                                 draw=lambda run, figures: {}, DEFINITION=TOY)


def toy_plan(**changes):
    return replace(Plan(TOY.axes, {"rate": 100, "mode": "x"}, 4, 1, False), **changes)


def test_trials_are_interleaved_and_every_second_round_runs_backwards():
    order = runner.schedule(toy_plan())
    rounds = [order[i:i + 4] for i in range(0, 16, 4)]
    assert rounds[1] == rounds[0][::-1]
    assert rounds[3] == rounds[2][::-1]
    assert all(Counter(map(definition.system_of, r)) == Counter(["a/1", "a/2", "b/1", "b/2"])
               for r in rounds)
    assert runner.schedule(toy_plan()) == order
    assert any(runner.schedule(toy_plan(seed=s)) != order for s in range(2, 6))


def test_a_run_leaves_its_plan_its_origin_and_its_summary(tmp_path):
    summary = runner.run(TOY, toy_plan(), toy_module(), tmp_path)
    directory = summary.parent
    rows = json.loads(summary.read_text())
    speed = [r for r in rows if r["metric"] == "speed"]
    assert [r["system"] for r in speed] == ["a/1", "a/2", "b/1", "b/2"]
    assert all(r["n"] == 4 and r["ci_low"] <= r["median"] <= r["ci_high"] for r in speed)
    assert {"metric", "system", "params", "unit", "n", "median", "ci_low",
            "ci_high"} <= set(speed[0])
    assert (directory.parent / "latest").read_text().strip() == directory.name
    assert json.loads((directory / "provenance.json").read_text())["code"]["commit"]
    assert "Does it run?" in (directory / "report.html").read_text()
    assert directory.name in (tmp_path / "index.html").read_text()
    assert not (directory / "scratch").exists()


def test_a_failed_trial_is_counted_and_shown_and_the_others_run(tmp_path):
    def sometimes(trial):
        if trial.number == 2:
            raise RuntimeError("the disk is on fire")
        (trial.directory / "speed").write_text("1")

    summary = runner.run(TOY, toy_plan(), toy_module(sometimes), tmp_path)
    rows = json.loads(summary.read_text())
    failed = {r["system"]: r["median"] for r in rows if r["metric"] == "trials_failed"}
    assert sum(failed.values()) == 1
    page = (summary.parent / "report.html").read_text()
    assert "the disk is on fire" in page
    assert "trials_failed is 1" in page


def test_what_this_machine_lacks_is_said_and_is_no_failure(tmp_path):
    def without_b(trial):
        if trial.cell["engine"] == "b":
            raise runner.Unavailable("there is no b here")
        (trial.directory / "speed").write_text("1")

    summary = runner.run(TOY, toy_plan(), toy_module(without_b), tmp_path)
    rows = json.loads(summary.read_text())
    assert {r["system"] for r in rows if r["metric"] == "speed"} == {"a/1", "a/2"}
    assert not any(r["median"] for r in rows if r["metric"] == "trials_failed")
    page = (summary.parent / "report.html").read_text()
    assert "b/1 is missing: there is no b here" in page


def test_the_folder_of_an_experiment_has_no_hyphens(tmp_path):
    (tmp_path / "two_words").mkdir()
    (tmp_path / "two_words" / "experiment.toml").write_text("")
    with pytest.raises(ConfigError, match="KeyError"):
        definition.load("two-words", tmp_path)
    with pytest.raises(ConfigError, match="experiment=other: allowed is two-words"):
        definition.load("other", tmp_path)
    assert definition.module_of("two-words") == "experiments.two_words.experiment"


def test_a_system_without_a_good_trial_is_an_error_after_the_report(tmp_path):
    def never_b(trial):
        if trial.cell["engine"] == "b":
            raise RuntimeError("no")
        (trial.directory / "speed").write_text("1")

    with pytest.raises(runner.TrialsFailed, match="b/1, b/2"):
        runner.run(TOY, toy_plan(), toy_module(never_b), tmp_path)
    assert len(list(tmp_path.glob("toy/*/report.html"))) == 1


def test_an_interrupted_run_is_reported_with_what_it_has(tmp_path):
    def interrupted(trial):
        if trial.number == 6:
            raise KeyboardInterrupt
        (trial.directory / "speed").write_text("1")

    with pytest.raises(KeyboardInterrupt):
        runner.run(TOY, toy_plan(), toy_module(interrupted), tmp_path)
    state = json.loads(next(tmp_path.glob("toy/*/run.json")).read_text())
    assert Counter(t["status"] for t in state["trials"]) == {"done": 5, "interrupted": 1,
                                                            "pending": 10}
    assert list(tmp_path.glob("toy/*/summary.json"))


def test_one_broken_thing_in_one_trial_is_not_hidden_by_a_median(tmp_path):
    broken = iter([0] * 7 + [1] + [0] * 100)
    module = toy_module()
    module.observe = lambda directory, parameters: [report.Observation("broken", next(broken))]
    summary = runner.run(TOY, toy_plan(), module, tmp_path)
    rows = [r for r in json.loads(summary.read_text()) if r["metric"] == "broken"]
    assert sorted(r["median"] for r in rows) == [0, 0, 0, 1]
    assert "broken is 1" in (summary.parent / "report.html").read_text()


def test_a_report_made_again_is_the_same(tmp_path):
    summary = runner.run(TOY, toy_plan(), toy_module(), tmp_path)
    before = {p: p.read_bytes() for p in summary.parent.rglob("*") if p.is_file()}
    report.build(summary.parent, toy_module())
    assert {p: p.read_bytes() for p in summary.parent.rglob("*") if p.is_file()} == before


def test_an_unknown_run_is_named_with_those_there_are(tmp_path):
    summary = runner.run(TOY, toy_plan(), toy_module(), tmp_path)
    with pytest.raises(click.ClickException, match=f"runs are toy/{summary.parent.name}"):
        report.main(["nothing"], tmp_path)


@pytest.mark.parametrize("overrides, says", [
    ({"speed": "1"}, "--set speed=1: speed is unknown; allowed is engine, size, rate, mode, "
                     "sizes, seed"),
    ({"sizes": "1,10"}, "--set sizes=1,10: allowed is whole numbers from 1 to 9, with commas "
                     "between them"),
    ({"sizes": "1;2"}, "--set sizes=1;2: allowed is whole numbers from 1 to 9, with commas "
                     "between them"),
    ({"rate": "0"}, "--set rate=0: allowed is a whole number from 1 to 1000"),
    ({"rate": "1e2"}, "--set rate=1e2: allowed is a whole number from 1 to 1000"),
    ({"mode": "z"}, "--set mode=z: allowed is x, y"),
    ({"engine": "a,c"}, "--set engine=a,c: allowed is a, b, or several of them with commas"),
    ({"seed": "-1"}, "--set seed=-1: allowed is a whole number from 0 to 2147483648")])
def test_a_setting_that_cannot_be_is_refused_with_what_can(overrides, says):
    with pytest.raises(ConfigError) as refused:
        definition.plan(TOY, quick=False, overrides=overrides, trials=None)
    assert refused.value.message == says


def test_settings_and_quick_choose_axes_parameters_and_trials():
    plan = definition.plan(TOY, quick=True, overrides={"engine": "b", "mode": "y"}, trials=None)
    assert plan.cells() == [{"engine": "b", "size": "1"}, {"engine": "b", "size": "2"}]
    assert plan.parameters == {"rate": 10, "mode": "y", "sizes": "1,2"}
    assert plan.trials == 2
    assert definition.plan(TOY, quick=True, overrides={"rate": "7"}, trials=9).trials == 9


def test_an_experiment_that_does_not_exist_is_refused():
    with pytest.raises(ConfigError, match="experiment=nothing: allowed is .*quickstart"):
        definition.load("nothing")
