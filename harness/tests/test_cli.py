"""./qlab cluster, with a stand-in for the node."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness import cli
from harness.cluster import LocalCluster

FAKE = Path(__file__).with_name("fake_node.py")


@pytest.fixture
def root(tmp_path):
    yield tmp_path / "cluster"
    cli.down(root=tmp_path / "cluster")


def test_up_leaves_the_cluster_running_and_prints_its_bootstrap_servers_last(root, capsys):
    assert cli.up(brokers=2, binary=FAKE, root=root) == 0
    cluster = LocalCluster.load(root)
    assert all(node.alive for node in cluster.nodes.values())
    assert capsys.readouterr().out.splitlines()[-1] == cluster.bootstrap


def test_up_twice_says_so_and_changes_nothing(root, capsys):
    cli.up(binary=FAKE, root=root)
    before = (root / "cluster.json").read_text()
    assert cli.up(root=root) == 0
    assert "up already" in capsys.readouterr().out
    assert (root / "cluster.json").read_text() == before


def test_up_after_down_keeps_the_ports_and_only_dead_nodes_are_started(root, capsys):
    cli.up(binary=FAKE, root=root)
    first = LocalCluster.load(root)
    first.nodes[2].kill()
    capsys.readouterr()
    assert cli.up(root=root) == 0
    assert "Starting 1 of 3" in capsys.readouterr().out
    assert cli.down(root=root) == 0
    assert not any(node.alive for node in first.nodes.values())
    assert cli.up(root=root) == 0
    assert capsys.readouterr().out.splitlines()[-1] == first.bootstrap


def test_another_shape_is_refused_with_the_way_out(root, capsys):
    cli.up(binary=FAKE, root=root)
    assert cli.up(brokers=5, root=root) == 1
    error = capsys.readouterr().err
    assert "brokers 3" in error and "not 5" in error and "down --wipe" in error


def test_wipe_forgets_everything(root):
    cli.up(binary=FAKE, root=root)
    assert cli.down(wipe=True, root=root) == 0
    assert not root.exists()


def test_a_missing_binary_names_the_command_that_builds_it(root, capsys):
    assert cli.up(binary=root / "nothing", root=root) == 1
    assert "./qlab build" in capsys.readouterr().err


def test_a_first_up_that_fails_does_not_shape_the_next_one(root, capsys):
    assert cli.up(config={"fake.behaviour": "fail"}, binary=FAKE, root=root) == 1
    assert "cannot start" in capsys.readouterr().err
    assert cli.up(brokers=1, binary=FAKE, root=root) == 0


def test_a_damaged_state_file_names_itself_and_is_kept(root, capsys):
    root.mkdir()
    (root / "cluster.json").write_text("{")
    assert cli.up(root=root) == 1
    assert "cluster.json is damaged" in capsys.readouterr().err
    assert (root / "cluster.json").exists(), "an error must not wipe what it could not read"
    (root / "cluster.json").unlink()
