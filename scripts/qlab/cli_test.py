"""Tests of the command line itself: what it teaches and what it refuses."""

import pytest
from click.testing import CliRunner

from qlab import builder, suites
from qlab.cli import COMMANDS, cli
from qlab.command import NOT_THERE, parse_settings
from qlab.commands import experiments


def call(*words):
    return CliRunner().invoke(cli, list(words), prog_name="qlab")


def test_the_help_lists_every_command_with_an_example():
    said = call("--help").output
    for name in COMMANDS:
        assert f"./qlab {name}" in said


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_explains_itself_with_an_example(name):
    result = call(name, "--help")
    assert result.exit_code == 0
    assert f"Example: ./qlab {name}" in result.output


@pytest.mark.parametrize("words", [
    ["compare", "a", "b"], ["serve"], ["fault", "pause", "2", "--for", "10s"],
    ["topic", "create", "t"], ["check", "run"],
    ["bench", "wire"], ["peer", "list"],
])
def test_what_is_not_there_says_what_will_come_and_fails(words):
    result = call(*words)
    assert result.exit_code == NOT_THERE
    assert "is not there yet: it will" in result.output


@pytest.mark.parametrize("words, said", [
    (["frobnicate"], "no command 'frobnicate'; there are: setup, build"),
    (["build", "--profile", "fast"], "'fast' is not one of 'release', 'asan', 'tsan'"),
    (["build", "-j", "0"], "0 is not in the range 1<=x<=1024"),
    (["run", "no-such-experiment"], "no experiment 'no-such-experiment'; there are:"),
    (["bench", "floppy"], "'floppy' is not one of 'storage', 'consensus', 'wire', 'broker'"),
    (["bench", "storage", "--only", "nothing"], "no row 'nothing'; there are: sync_append_4k"),
    (["cluster", "up", "--brokers", "0"], "0 is not in the range 1<=x<=300"),
    (["cluster", "up", "--engine", "floppy"], "'floppy' is not one of 'buffered'"),
    (["cluster", "up", "--brokers", "1", "--controllers", "3"], "3 of 1 brokers"),
    (["cluster", "up", "--per-process", "5"], "5 without --virtual"),
    (["cluster", "up", "--set", "engine"], "'engine' is not key=value"),
])
def test_an_error_names_the_thing_the_value_and_what_is_allowed(words, said):
    result = call(*words)
    assert result.exit_code == 2
    assert said in " ".join(result.output.split())


def test_the_help_of_run_lists_the_experiments_and_tells_of_the_one_that_is_named():
    said = call("run", "--help").output
    assert all(name in said for name in experiments.known_experiments())
    said = " ".join(call("run", "broker-crash", "--help").output.split())
    assert "How long is it from the death" in said
    assert "system=zk,kraft,raft" in said
    assert "detection_ms=2000" in said and "100 to 60000 ms" in said


def test_settings_become_a_mapping_and_a_key_counts_once():
    assert parse_settings(("a=1", "b=x=y", "c=")) == {"a": "1", "b": "x=y", "c": ""}
    with pytest.raises(Exception, match="'a' is given twice"):
        parse_settings(("a=1", "a=2"))


def test_an_experiment_is_a_folder_with_its_mark(tmp_path):
    for name, mark in (("one", "experiment.toml"), ("two", "experiment.py"), ("load", "main.cc")):
        (tmp_path / "experiments" / name).mkdir(parents=True)
        (tmp_path / "experiments" / name / mark).touch()
    assert experiments.known_experiments(tmp_path) == ["one", "two"]


def test_python_suites_are_the_folders_with_test_files(tmp_path):
    for path in ("harness/tests/test_a.py", "wire/kafka/schema_test.py", "storage/log.cc",
                 "build/x/test_b.py", "results/r/test_c.py", "docs/contest.py"):
        (tmp_path / path).parent.mkdir(parents=True)
        (tmp_path / path).touch()
    assert suites.pytest_folders(tmp_path) == ["harness", "wire"]


def test_jobs_are_limited_by_memory_and_never_none(monkeypatch):
    monkeypatch.setattr(builder.os, "sched_getaffinity", lambda pid: range(16))
    for available, jobs in ((64e9, 16), (4e9, 3), (0.5e9, 1)):
        monkeypatch.setattr(builder, "_meminfo_available_bytes", lambda now=available: now)
        assert builder.default_jobs() == jobs
