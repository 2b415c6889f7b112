"""Tests of suites.py: what a run of pytest and of Meson is counted as."""

import json

import pytest

from qlab import paths, suites

TESTS = """
import pytest
def test_green(): pass
def test_red(): assert 1 == 2
@pytest.mark.skip(reason="no such disk")
def test_skipped(): pass
@pytest.mark.xfail(reason="known")
def test_known(): assert False
@pytest.mark.parametrize("x", [1, 2])
def test_each(x): pass
@pytest.fixture
def broken_end():
    yield
    raise OSError("cannot stop")
def test_passes_but_cannot_clean_up(broken_end): pass
@pytest.mark.cluster
def test_with_processes(): pass
"""


@pytest.fixture(name="folder")
def fixture_folder(tmp_path, monkeypatch):
    (tmp_path / "pytest.ini").write_text(
        (paths.ROOT / "pytest.ini").read_text(encoding="utf-8"), encoding="utf-8")
    (tmp_path / "harness").mkdir()
    monkeypatch.setattr(paths, "ROOT", tmp_path)
    scripts = str(suites.pathlib.Path(suites.__file__).parents[1])
    monkeypatch.setenv("PYTHONPATH", scripts)
    return tmp_path / "harness"


def test_every_python_test_counts_once_with_its_worst_phase(folder):
    (folder / "test_x.py").write_text(TESTS, encoding="utf-8")
    tally = suites.run_pytest("release", "harness", ["harness"])
    assert tally.line() == "3 passed, 2 failed, 2 skipped"
    assert ("harness/test_x.py::test_skipped", "no such disk") in tally.skipped
    assert ("harness/test_x.py::test_known", "fails as expected: known") in tally.skipped
    assert "harness/test_x.py::test_passes_but_cannot_clean_up: teardown" in tally.failed


def test_the_cluster_suite_is_the_marked_tests(folder):
    (folder / "test_x.py").write_text(TESTS, encoding="utf-8")
    assert suites.run_pytest("release", "cluster", ["harness"]).line() \
        == "1 passed, 0 failed, 0 skipped"


@pytest.mark.parametrize("text", ["def broken(:\n", "import no_such_module\n",
                                  "import os\ndef test_dies(): os._exit(3)\n",
                                  "import pytest\n@pytest.mark.clutser\ndef test_a(): pass\n"])
def test_a_file_that_cannot_run_is_a_failure(folder, text):
    (folder / "test_x.py").write_text(text, encoding="utf-8")
    assert len(suites.run_pytest("release", "harness", ["harness"]).failed) >= 1


def test_pytest_that_cannot_start_is_a_failure(folder):
    (folder / "conftest.py").write_text("import no_such_module\n", encoding="utf-8")
    (folder / "test_x.py").write_text("def test_a(): pass\n", encoding="utf-8")
    assert suites.run_pytest("release", "harness", ["harness"]).failed \
        == ["pytest harness: status 4"]


def entry(name, result, **more):
    return json.dumps({"name": name, "result": result, "returncode": 1, "command": ["true"],
                       "stdout": "", **more})


def test_meson_s_log_is_counted_and_failures_are_shown(tmp_path, capsys):
    log = tmp_path / "testlog.json"
    log.write_text("\n".join([entry("floors", "OK"), entry("tidy", "FAIL", stdout="a tab"),
                              entry("format", "SKIP", stdout="no clang-format")]),
                   encoding="utf-8")
    tally = suites.tally_meson_log(log, 1)
    assert tally.line() == "1 passed, 1 failed, 1 skipped"
    assert "a tab" in capsys.readouterr().out


def test_meson_failing_without_a_failed_test_is_a_failure(tmp_path):
    log = tmp_path / "testlog.json"
    log.write_text(entry("floors", "OK"), encoding="utf-8")
    assert suites.tally_meson_log(log, 1).failed == ["meson test: status 1"]
