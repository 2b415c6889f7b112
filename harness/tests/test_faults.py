"""Faults heal whatever happens, and say in the history what they did."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from harness import faults
from harness.cluster import ClusterError, LocalCluster
from harness.history import History

FAKE = Path(__file__).with_name("fake_node.py")


@pytest.fixture
def node(tmp_path):
    with LocalCluster(tmp_path, brokers=1, binary=FAKE) as cluster:
        yield cluster.nodes[1]


def state_letter(node):
    return Path(f"/proc/{node.process.pid}/stat").read_text().rpartition(")")[2].split()[0]


def test_a_killed_node_is_down_inside_and_serves_again_after_even_when_the_block_fails(node):
    with pytest.raises(RuntimeError, match="of the test"):
        with faults.kill(node):
            assert not node.alive
            raise RuntimeError("of the test")
    assert node.ready


def test_a_node_that_the_block_restarted_itself_is_left_alone(node):
    history = History()
    with faults.kill(node, history=history):
        node.restart()
        pid = node.process.pid
    assert node.process.pid == pid
    assert [op.f for op in history] == ["kill", "kill"]


def test_a_paused_node_is_stopped_inside_and_runs_after_even_when_the_block_fails(node):
    with pytest.raises(RuntimeError):
        with faults.pause(node):
            assert node.alive and state_letter(node) == "T"
            raise RuntimeError
    assert state_letter(node) != "T"


def test_both_ends_of_a_fault_are_in_the_history_as_operations_of_the_nemesis(node):
    history = History()
    with faults.kill(node, history=history):
        history.append("invoke", 0, "send", {"topic": "t", "partition": 0, "id": "0.0"})
    assert [(op.process, op.type, op.f) for op in history] == [
        ("nemesis", "invoke", "kill"), ("nemesis", "info", "kill"), (0, "invoke", "send"),
        ("nemesis", "invoke", "restart"), ("nemesis", "info", "restart")]
    assert all(op.value == {"node": 1} for op in history if op.process == "nemesis")


def test_a_node_that_does_not_come_back_is_an_error_that_the_history_has_too(node):
    history = History()
    with pytest.raises(ClusterError, match="cannot start"):
        with faults.kill(node, history=history):
            node.config["fake.behaviour"] = "fail"
    assert "cannot start" in list(history)[-1].error


def test_a_fault_that_this_machine_cannot_do_says_why_and_does_nothing():
    happened = []

    @faults.register("impossible", lambda: "there is no lightning here")
    def impossible():
        happened.append("injected")
        yield

    try:
        with pytest.raises(faults.Unavailable, match="impossible: there is no lightning here"):
            with impossible():
                pass
        assert happened == []
        assert faults.missing()["impossible"] == "there is no lightning here"
    finally:
        del faults.PROBES["impossible"]


def test_a_small_disk_is_full_when_it_is_full_and_gone_afterwards(tmp_path):
    with faults.small_disk(tmp_path / "disk", 64 * 1024) as disk:
        with pytest.raises(OSError, match="No space left"):
            (disk.path / "file").write_bytes(bytes(128 * 1024))
        disk.resize(1024 * 1024)
        (disk.path / "file").write_bytes(bytes(128 * 1024))
    assert not os.path.ismount(tmp_path / "disk")
