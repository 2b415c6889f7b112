"""Virtual brokers: several in one process, each of which comes and goes as a process would."""

from __future__ import annotations

import signal

import pytest

from harness import checkers, faults
from harness.cluster import ClusterError, LocalCluster
from harness.control import ControlError, kill_node
from harness.host import wait_dead

SIX = pytest.mark.cluster(brokers=6, per_process=3)  # Three processes, and one that carries three.


@SIX
@pytest.mark.all_planes
def test_one_virtual_broker_is_killed_and_the_others_of_its_process_serve_on(cluster, topic,
                                                                            history):
    topic.produce(200, history=history)
    assert len({node.process.pid for node in cluster.nodes.values()}) == 4
    with faults.kill(cluster.nodes[5], history=history) as killed:
        assert not killed.alive and killed.exit_status == -signal.SIGKILL
        assert cluster.nodes[4].ready and cluster.nodes[6].ready
        cluster.wait_for(lambda: not [p for s in cluster.statuses().values() for p in s.partitions
                                      if s.node_id == p.leader == 5], 60, "others to lead")
        topic.produce(200, history=history)
    assert killed.ready
    checkers.require(history, topic.read_all())


@SIX
def test_a_virtual_broker_that_stops_hands_over_and_one_that_is_down_is_started_again(cluster):
    node = cluster.nodes[4]
    assert node.stop() == 0 and not node.alive
    cluster.start()
    assert node.ready


@SIX
def test_a_cluster_with_virtual_brokers_is_found_again_by_another_process(cluster):
    again = LocalCluster.load(cluster.root)
    again.nodes[6].kill()
    assert not cluster.nodes[6].alive and cluster.nodes[5].alive
    again.nodes[6].start()
    assert cluster.nodes[6].ready


@SIX
def test_the_death_of_the_process_is_the_death_of_its_nodes(cluster):
    cluster.carriers[0].kill()
    assert [node.alive for node in cluster.nodes.values()] == [True] * 3 + [False] * 3
    assert cluster.nodes[6].exit_status == -signal.SIGKILL
    cluster.start()
    assert all(node.ready for node in cluster.nodes.values())


@SIX
def test_a_part_of_a_process_is_neither_frozen_nor_signalled(cluster):
    with pytest.raises(ClusterError, match="node 4 cannot be frozen alone.*nodes 5, 6"):
        cluster.nodes[4].pause()
    with pytest.raises(ClusterError, match="node 4 shares its process"):
        cluster.nodes[4].send_signal(signal.SIGKILL)
    with pytest.raises(ControlError, match="node 1 does not run in this process"):
        kill_node(cluster.carriers[0].address, 1)
    with pytest.raises(ControlError, match="there is no call KillNode"):
        kill_node(cluster.nodes[4].peer_endpoint, 4)  # Nobody ends a node through itself.


@pytest.mark.parametrize(("key", "words"), [
    ("node.id", "node.id=4 of node 4 is also the node.id of node 4"),
    ("log.dir", "log.dir=.* of node 5 is also the log.dir of node 4"),
    ("listener", "listener=.* of node 5 is also the listener of node 4"),
    ("trace.file", "trace.file=.* of node 5 is also the trace.file of node 4")])
@pytest.mark.cluster
def test_nodes_that_cannot_live_side_by_side_are_refused_by_name(new_cluster, key, words):
    cluster = new_cluster(brokers=5, per_process=2)
    cluster.nodes[5].config[key] = cluster.nodes[4].config[key]
    with pytest.raises(ClusterError, match=words):
        cluster.carriers[0].start(cluster.carriers[0].nodes)
    assert wait_dead(cluster.host, cluster.carriers[0].process, 10)
    assert cluster.nodes[5].exit_status == 2
