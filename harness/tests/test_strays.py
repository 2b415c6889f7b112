"""What a broker's disk has of topics that were deleted, and of partitions that were moved away,
while the broker was down: nothing, soon after it is back. On the quorum planes."""

from __future__ import annotations

from pathlib import Path

import pytest
from confluent_kafka.admin import AdminClient

from harness import checkers
from harness.cluster import LocalCluster
from harness.history import History
from harness.tests.test_admin import NONE, QUICK, create, partitions, reassign
from harness.waiting import wait_for
from harness.workload import Topic

TIMEOUT = 30.0
SHARDS = {**QUICK, "num.shards": "2"}


def logs(cluster: LocalCluster, node: int, topic: str) -> dict[str, str]:
    """The topic's partitions with a directory on a node's disk, also one that is set aside -> what
    it says of its topic's id."""
    data = Path(cluster.nodes[node].config["log.dir"])
    return {d.name: (d / "partition.metadata").read_text().split()[-1]
            for d in data.iterdir() if d.name.startswith(topic + "-")}


def delete(cluster: LocalCluster, topic: str) -> None:
    admin = AdminClient({"bootstrap.servers": cluster.bootstrap})
    admin.delete_topics([topic])[topic].result(TIMEOUT)


def fill(cluster: LocalCluster, name: str, replicas: int, history: History | None = None) -> Topic:
    topic = Topic(cluster, name, partitions=4, replication_factor=replicas)
    topic.produce(records=200, history=history)
    topic.settle_replicas()
    return topic


@pytest.mark.timeout(240)
@pytest.mark.parametrize("plane", ["kraft", "raft"])
@pytest.mark.parametrize("is_killed", [True, False], ids=["killed", "stopped"])
def test_what_a_broker_lost_while_it_was_down_leaves_its_disk(tmp_path, plane, is_killed):
    with LocalCluster(tmp_path, brokers=3, plane=plane, config=SHARDS) as cluster:
        histories = {"kept": History(), "again": History()}
        for name in ("kept", "gone", "again"):
            create(cluster, name, [[1, 2, 3]] * 4)
            fill(cluster, name, 3, histories["kept"] if name == "kept" else None)
        create(cluster, "moved", [[1, 2]] * 4)
        fill(cluster, "moved", 2)
        for name in ("kept", "gone", "again", "moved"):
            assert len(logs(cluster, 2, name)) == 4
        old = set(logs(cluster, 2, "again").values())

        cluster.nodes[2].kill() if is_killed else cluster.nodes[2].stop()
        # Clients ask whom they were told of, which must not be node 2.
        wait_for(lambda: all(2 not in p.isrs for p in partitions(cluster, "kept").values()),
                 TIMEOUT, "node 2 to be fenced")
        delete(cluster, "gone")
        delete(cluster, "again")
        endpoint = cluster.nodes[1].endpoint
        assert all(reassign(endpoint, "moved", p, [1, 3]) == NONE for p in range(4))
        wait_for(lambda: all(sorted(p.replicas) == [1, 3]
                             for p in partitions(cluster, "moved").values()), TIMEOUT, "the move")
        wait_for(lambda: not logs(cluster, 1, "gone"), TIMEOUT, "who is up to delete it")
        create(cluster, "again", [[1, 2, 3]] * 4)
        assert len(logs(cluster, 2, "gone")) == len(logs(cluster, 2, "moved")) == 4

        cluster.nodes[2].start()
        wait_for(lambda: not logs(cluster, 2, "gone") and not logs(cluster, 2, "moved"), TIMEOUT,
                 "the strays to be gone")
        # A namesake of a topic that was deleted, and what was there all the time.
        again = fill(cluster, "again", 3, histories["again"])
        assert len(logs(cluster, 2, "again")) == 4
        assert not old & set(logs(cluster, 2, "again").values())
        kept = Topic(cluster, "kept", partitions=4, replication_factor=3)
        before = kept.settle_replicas()
        assert sum(before.values()) == 200

        cluster.nodes[2].kill()
        cluster.nodes[2].start()
        for topic in (kept, again):
            history = topic.produce(records=20, history=histories[topic.name])
            checkers.require(history, topic.read_all())
            assert sum(topic.settle_replicas().values()) == 220
            assert len(logs(cluster, 2, topic.name)) == 4
