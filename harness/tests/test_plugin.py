"""The plugin's promises, in a pytest of its own over the stand-in for the node."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from harness.control import REPOSITORY

FAKE = Path(__file__).with_name("fake_node.py")
PROGRAM = '''
import pytest
from harness import faults

@pytest.mark.cluster(brokers=2)
def test_passes(cluster, engine, layout, module):
    config = cluster.nodes[1].config
    assert len(cluster.nodes) == 2
    assert config["engine"] == engine and config["log.layout"] == layout == "shared"
    assert config["consensus.module"] == module == "zab"

@pytest.mark.cluster(brokers=1)
def test_fails(cluster, history):
    history.append("invoke", 0, "send", {"topic": "t", "partition": 0, "id": "0.0"})
    raise AssertionError("on purpose")

@faults.register("lightning", lambda: "the sky is clear")
def lightning():
    yield

def test_skips():
    with lightning():
        pass
'''


@pytest.fixture(scope="module")
def output(tmp_path_factory):
    directory = tmp_path_factory.mktemp("plugin")
    (directory / "test_program.py").write_text(PROGRAM)
    (directory / "pytest.ini").write_text("[pytest]\n")
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "harness.plugin", "-p", "no:cacheprovider", "-rs",
         "-v", "-c", str(directory / "pytest.ini"), "--confcutdir", str(directory),
         "--node-binary", str(FAKE), "--engine", "uring", "--layout", "shared", "--module", "zab",
         "--seed", "77", str(directory)],
        cwd=REPOSITORY, capture_output=True, text=True, check=False)
    return done.stdout + done.stderr


def test_the_markers_options_and_the_plugs_reach_the_cluster(output):
    assert re.search(r"test_passes\[uring-shared-zab\] PASSED", output), output


def test_a_fault_that_cannot_be_done_skips_the_test_with_the_reason(output):
    assert re.search(r"SKIPPED.*fault lightning: the sky is clear", output), output


def test_a_failing_test_names_its_directory_which_has_everything_and_ends_its_nodes(output):
    found = re.search(r"kept (\S+); again with --seed 77", output)
    assert found, output
    kept = Path(found[1])
    try:
        assert '"id":"0.0"' in (kept / "history.jsonl").read_text()
        node = kept / "cluster-1" / "node-1"
        assert "node.id=1" in (node / "node.properties").read_text()
        assert "ready node.id=1" in (node / "stdout").read_text()
        assert [d.name for d in kept.parent.iterdir()] == [kept.name], "passing tests leave nothing"
        running = subprocess.run(["pgrep", "-f", str(node)], capture_output=True, check=False)
        assert running.returncode == 1, "a node outlived its test"
    finally:
        subprocess.run(["rm", "-r", str(kept.parent)], check=True)
