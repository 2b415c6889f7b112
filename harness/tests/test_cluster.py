"""The life of processes, with a stand-in for the node: what holds whatever the node does."""

from __future__ import annotations

import json
import os
import signal
import time
from pathlib import Path

import pytest

from harness.cluster import ClusterError, LocalCluster
from harness.waiting import WaitTimeout, wait_for

FAKE = Path(__file__).with_name("fake_node.py")


@pytest.fixture
def fake(tmp_path):
    cluster = LocalCluster(tmp_path, brokers=3, binary=FAKE)
    yield cluster
    cluster.kill()


def test_a_started_cluster_is_ready_and_every_process_ends_with_it(fake):
    with fake:
        assert all(node.ready for node in fake.nodes.values())
        assert len(set(fake.bootstrap.split(","))) == 3
    assert not any(node.alive for node in fake.nodes.values())
    assert [node.exit_status for node in fake.nodes.values()] == [-signal.SIGKILL] * 3


def test_nodes_share_our_session_and_are_signalled_each_alone(fake):
    with fake:
        for node in fake.nodes.values():
            assert os.getsid(node.process.pid) == os.getsid(0)
            assert os.getpgid(node.process.pid) == node.process.pid


def test_a_node_that_cannot_start_is_named_with_its_own_words_and_nothing_is_left_running(fake):
    fake.nodes[2].config["fake.behaviour"] = "fail"
    with pytest.raises(ClusterError, match=r"(?s)node 2 ended with status 2.*cannot start"):
        fake.start()
    assert not any(node.alive for node in fake.nodes.values())


def test_a_node_that_never_gets_ready_is_an_error_after_the_deadline(fake):
    fake.nodes[3].config["fake.behaviour"] = "hang"
    with pytest.raises(ClusterError, match="node 3 was not ready"):
        fake.start(timeout=0.5)


def test_restart_waits_for_the_new_process_and_not_for_the_old_ones_ready_line(fake):
    with fake:
        node = fake.nodes[1]
        node.kill()
        assert not node.ready and node.exit_status == -signal.SIGKILL
        node.config["fake.behaviour"] = "fail"
        with pytest.raises(ClusterError):
            node.restart()
        node.config["fake.behaviour"] = "serve"
        node.restart()
        assert node.ready and node.exit_status is None


def test_a_controlled_stop_ends_with_status_zero_even_when_the_node_was_paused(fake):
    with fake:
        fake.nodes[1].pause()
        assert fake.nodes[1].alive
        assert fake.nodes[1].stop() == 0


def test_a_loaded_cluster_sees_the_same_processes_but_not_a_pid_of_someone_else(fake):
    with fake:
        again = LocalCluster.load(fake.root)
        assert all(node.alive for node in again.nodes.values())
        assert again.bootstrap == fake.bootstrap
        state = json.loads((fake.root / "cluster.json").read_text())
        state["nodes"][0]["start_ticks"] -= 1
        (fake.root / "cluster.json").write_text(json.dumps(state))
        other = LocalCluster.load(fake.root)
        assert not other.nodes[1].alive and other.nodes[2].alive
        other.nodes[1].kill()
        assert fake.nodes[1].alive, "a stranger's process must not be killed"


@pytest.mark.parametrize("arguments", [{"brokers": 0}, {"brokers": 3, "controllers": 4}])
def test_numbers_out_of_bounds_are_refused_by_name(tmp_path, arguments):
    with pytest.raises(ClusterError, match=r"(brokers|controllers) is \d; allowed"):
        LocalCluster(tmp_path, **arguments)


def test_waiting_in_vain_says_how_long_how_often_and_what_was_seen_last():
    def broken():
        raise RuntimeError("no route")

    start = time.monotonic()
    with pytest.raises(WaitTimeout, match=r"waited 0\.\d s \(\d+ tries\) for rain, .*no route"):
        wait_for(broken, 0.2, "rain")
    assert time.monotonic() - start < 5
