"""What every control plane owes its users, and what the zk plane shows to clients of ZooKeeper."""

from __future__ import annotations

import json

import pytest
from confluent_kafka import KafkaError, KafkaException
from confluent_kafka.admin import AdminClient, ConfigResource, NewTopic

from harness import checkers, faults
from harness.workload import Topic

SERVICE_TIMEOUT = 30.0  # Seconds; generous, since a loaded machine elects slowly.
# A dead node is missed after 2 s, by whoever it is that misses it.
QUICK = {"broker.heartbeat.interval.ms": "400", "broker.session.timeout.ms": "2000",
         "zookeeper.session.timeout.ms": "2000", "keeper.tick.ms": "200",
         "min.insync.replicas": "2"}


@pytest.mark.all_planes
@pytest.mark.cluster(config=QUICK)
def test_a_dead_leader_is_replaced_and_comes_back_into_the_isr(cluster, history):
    topic = Topic(cluster, "leader", partitions=3).create()
    topic.produce(300, history=history)
    old = cluster.leader(topic)
    with faults.kill(old, history=history):
        cluster.wait_for(lambda: cluster.leader(topic) is not old, SERVICE_TIMEOUT,
                         "another leader")
        topic.produce(300, history=history)
    topic.settle_replicas()
    checkers.require(history, topic.read_all())


@pytest.mark.all_planes
@pytest.mark.cluster(config=QUICK)
def test_a_dead_controller_is_replaced_by_one_that_decides(cluster, history):
    before = Topic(cluster, "before").create()
    old = cluster.controller()
    epoch = old.status().controller_epoch
    with faults.kill(old, history=history):
        new = cluster.controller()
        assert new is not old and new.status().controller_epoch > epoch
        meanwhile = Topic(cluster, "meanwhile", replication_factor=2).create()
        meanwhile.produce(100, history=history)
    before.produce(100, history=history)
    for topic in (before, meanwhile):
        topic.settle_replicas()
    read = checkers.ReadBack({**before.read_all().partitions, **meanwhile.read_all().partitions})
    checkers.require(history, read)


@pytest.mark.all_planes
@pytest.mark.cluster(config=QUICK)
def test_a_cluster_that_was_shut_down_knows_everything_when_it_is_started_again(cluster, history):
    topic = Topic(cluster, "kept", partitions=3).create()
    topic.produce(100, history=history)
    cluster.stop()
    assert [node.exit_status for node in cluster.nodes.values()] == [0, 0, 0]
    cluster.start()
    topic.produce(100, history=history)
    topic.settle_replicas()
    checkers.require(history, topic.read_all())


@pytest.mark.all_planes
@pytest.mark.cluster(brokers=2, config={**QUICK, "min.insync.replicas": "1"})
def test_configs_of_topics_reach_the_replicas(cluster, history):
    """Those that a topic is made with and those that are changed later."""
    topic = Topic(cluster, "strict").create({"min.insync.replicas": "2"})
    impatient = {"message.timeout.ms": 1000}
    cluster.nodes[2].kill()

    def is_alone():
        view = cluster.nodes[1].status().partition(topic.name, 0)
        return view.leader == 1 and view.isr == (1,)

    cluster.wait_for(is_alone, SERVICE_TIMEOUT, "an ISR of one")
    topic.produce(3, history=history, config=impatient)
    assert history.count("ok") == 0
    resource = ConfigResource(ConfigResource.Type.TOPIC, "strict",
                              set_config={"min.insync.replicas": "1"})
    client = AdminClient({"bootstrap.servers": cluster.bootstrap})
    client.alter_configs([resource])[resource].result(SERVICE_TIMEOUT)

    def accepts():
        topic.produce(1, history=history, config=impatient)
        return history.count("ok") > 0

    cluster.wait_for(accepts, SERVICE_TIMEOUT, "the new minimum")
    cluster.nodes[2].start()
    checkers.require(history, topic.read_all())


@pytest.mark.all_planes
@pytest.mark.cluster(config=QUICK)
def test_a_topic_that_cannot_be_is_refused_with_a_name_and_its_number(cluster, history):
    refused = {
        NewTopic("a/b", 1, 1): (KafkaError.TOPIC_EXCEPTION, "a/b"),
        NewTopic("replicas", 1, 4): (KafkaError.INVALID_REPLICATION_FACTOR, "4"),
        NewTopic("strange", 1, 1, config={"no.such.key": "1"}):
            (KafkaError.INVALID_CONFIG, "no.such.key"),
    }
    client = AdminClient({"bootstrap.servers": cluster.bootstrap})
    for topic, (code, word) in refused.items():
        with pytest.raises(KafkaException) as caught:
            client.create_topics([topic])[topic.topic].result(SERVICE_TIMEOUT)
        error = caught.value.args[0]
        assert error.code() == code and word in error.str(), error
    many = [NewTopic(f"large-{i}", 60_000, 1) for i in range(34)]
    *_, last = client.create_topics(many, validate_only=True).values()
    with pytest.raises(KafkaException) as caught:
        last.result(SERVICE_TIMEOUT)
    error = caught.value.args[0]
    assert error.code() == KafkaError.POLICY_VIOLATION and "2000000" in error.str(), error
    good = Topic(cluster, "good").create()
    assert set(client.list_topics(timeout=SERVICE_TIMEOUT).topics) == {"good"}
    good.produce(10, history=history)
    checkers.require(history, good.read_all())


@pytest.mark.cluster(plane="zk", config=QUICK)
def test_the_znodes_of_a_cluster_are_laid_out_as_kafkas(cluster):
    kazoo = pytest.importorskip("kazoo.client")
    topic = Topic(cluster, "orders", partitions=2).create()
    endpoints = [node.keeper_endpoint for node in cluster.nodes.values()]
    client = kazoo.KazooClient(hosts=",".join(endpoints))
    client.start(timeout=SERVICE_TIMEOUT)
    try:
        def read(path):
            return json.loads(client.get(path)[0])

        assert read("/controller")["brokerid"] == cluster.controller().id
        assert read("/controller_epoch") == cluster.controller().status().controller_epoch
        assert sorted(client.get_children("/brokers/ids")) == ["1", "2", "3"]
        for id_, node in cluster.nodes.items():
            broker = read(f"/brokers/ids/{id_}")
            assert f"{broker['host']}:{broker['port']}" == node.endpoint
            stat = client.exists(f"/brokers/ids/{id_}")
            assert stat.ephemeralOwner != 0
            own = [b for b in node.status().brokers if b.id == id_]
            assert own[0].epoch == stat.czxid
        assert set(read("/brokers/topics/orders")["partitions"]) == {"0", "1"}
        state = read("/brokers/topics/orders/partitions/0/state")
        assert state["leader"] == cluster.leader(topic).id
        assert sorted(state["isr"]) == [1, 2, 3]
    finally:
        client.stop()
