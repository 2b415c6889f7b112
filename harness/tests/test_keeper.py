"""Unmodified ZooKeeper clients on an ensemble of qlab-keeper: kazoo with its recipes, and zkCli.sh.

Servers die meanwhile: no acknowledged write is lost, and sessions outlive the server they were on.
"""

from __future__ import annotations

import os
import shutil
import struct
import subprocess
import sys
import threading
import time

import pytest
from kazoo import exceptions
from kazoo.client import KazooState
from kazoo.security import OPEN_ACL_UNSAFE, make_acl, make_digest_acl

from harness import keeper_ensemble as keeper
from harness.keeper_ensemble import Ensemble
from harness.waiting import wait_for

pytestmark = pytest.mark.cluster

ZK_CLI = next((path for path in (shutil.which("zkCli.sh"), "/usr/share/zookeeper/bin/zkCli.sh")
               if path and os.path.exists(path)), None)


@pytest.fixture(scope="module")
def ensemble(module_directory):
    """One for all tests that break nothing."""
    with Ensemble(module_directory / "ensemble") as made:
        yield made


@pytest.fixture
def own_ensemble(run_directory):
    with Ensemble(run_directory / "ensemble") as made:
        yield made


@pytest.fixture
def top(ensemble, request) -> str:
    """A znode of this test's own."""
    path = "/" + request.node.name.replace("[", "-").replace("]", "")
    ensemble.client().create(path)
    return path


@pytest.mark.all_modules
def test_znodes_are_created_read_written_and_removed_on_every_module(module, run_directory):
    with Ensemble(run_directory / "ensemble", module=module) as ensemble:
        zk = ensemble.client()
        assert zk.create("/a", b"one") == "/a"
        data, stat = zk.get("/a")
        assert (data, stat.version, stat.czxid) == (b"one", 0, stat.mzxid)
        assert zk.set("/a", b"two", version=0).version == 1
        with pytest.raises(exceptions.BadVersionError):
            zk.set("/a", b"three", version=0)
        with pytest.raises(exceptions.NodeExistsError):
            zk.create("/a")
        with pytest.raises(exceptions.NoNodeError):
            zk.create("/none/b")
        assert zk.create("/a/s-", sequence=True) == "/a/s-0000000000"
        with pytest.raises(exceptions.NotEmptyError):
            zk.delete("/a")
        # Another server shows it once it has caught up.
        for server in ensemble.ids:
            other = ensemble.client(server)
            other.sync("/a")
            assert other.get("/a")[0] == b"two"
        zk.delete("/a", recursive=True)
        assert zk.exists("/a") is None


def test_an_ephemeral_goes_with_its_session_and_not_with_its_connection(ensemble, top):
    watching = ensemble.client()
    owner = ensemble.client()
    owner.create(top + "/e", ephemeral=True)
    with pytest.raises(exceptions.NoChildrenForEphemeralsError):
        owner.create(top + "/e/child")
    owner._connection._socket.shutdown(2)  # Only the connection ends.
    wait_for(lambda: owner.connected and owner.get_children(top) == ["e"], 10, "it to come back")
    assert watching.exists(top + "/e").ephemeralOwner == owner.client_id[0]
    owner.stop()
    wait_for(lambda: watching.exists(top + "/e") is None, 10, "the ephemeral to go")


def test_a_client_that_dies_loses_its_session_after_its_timeout(ensemble, top):
    code = ("import sys, time\nfrom kazoo.client import KazooClient\n"
            f"zk = KazooClient('{ensemble.hosts()}', timeout=0.8); zk.start()\n"
            f"zk.create('{top}/e', ephemeral=True)\nprint('made', flush=True)\ntime.sleep(60)\n")
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE) as client:
        assert client.stdout.readline() == b"made\n"
        zk = ensemble.client()
        time.sleep(2)  # Pings keep it.
        assert zk.exists(top + "/e")
        client.kill()
        killed = time.monotonic()
        wait_for(lambda: not zk.exists(top + "/e"), 10, "the session to expire")
        assert time.monotonic() - killed > 0.4


def test_watches_tell_of_data_children_and_what_comes_to_be(ensemble, top):
    writer, watcher = ensemble.client(), ensemble.client()
    events = []
    watcher.sync(top)
    assert watcher.exists(top + "/x", watch=lambda e: events.append(("exists", e.type))) is None
    watcher.get_children(top, watch=lambda e: events.append(("children", e.type)))
    writer.create(top + "/x", b"1")
    wait_for(lambda: len(events) == 2, 10, "two events")
    assert sorted(events) == [("children", "CHILD"), ("exists", "CREATED")]
    watcher.get(top + "/x", watch=lambda e: events.append(("data", e.type)))
    writer.set(top + "/x", b"2")
    wait_for(lambda: len(events) == 3, 10, "a third event")
    writer.set(top + "/x", b"3")  # A watch tells once.
    watcher.sync(top)  # Its server may be behind, and would tell the next watch of that change.
    watcher.exists(top + "/x", watch=lambda e: events.append(("gone", e.type)))
    writer.delete(top + "/x")
    wait_for(lambda: ("gone", "DELETED") in events, 10, "the deletion")
    assert events.count(("data", "CHANGED")) == 1


def test_a_multi_happens_whole_or_not_at_all(ensemble, top):
    zk = ensemble.client()
    failing = zk.transaction()
    failing.create(top + "/a")
    failing.check(top, 99)
    failing.create(top + "/b")
    first, second, third = failing.commit()
    assert isinstance(first, exceptions.RolledBackError)
    assert isinstance(second, exceptions.BadVersionError)
    assert isinstance(third, exceptions.RuntimeInconsistency)
    assert zk.get_children(top) == []
    good = zk.transaction()
    good.create(top + "/a", b"1")
    good.create(top + "/a/b")
    good.set_data(top + "/a", b"2")
    good.delete(top + "/a/b")
    results = good.commit()
    assert results[0] == top + "/a" and results[2].version == 1
    assert zk.get(top + "/a")[0] == b"2" and zk.get_children(top + "/a") == []


def test_a_lock_is_held_by_one_client_at_a_time(ensemble, top):
    inside, entered = [], []

    def work(server: int) -> None:
        zk = ensemble.client(server)
        for _ in range(5):
            with zk.Lock(top + "/lock", str(server)):
                inside.append(server)
                assert inside == [server]
                entered.append(server)
                inside.remove(server)

    threads = [threading.Thread(target=work, args=(server,)) for server in ensemble.ids]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert len(entered) == 15


def test_an_election_has_one_winner_and_then_the_next(ensemble, top):
    clients = [ensemble.client(server) for server in ensemble.ids]
    won = []
    release = threading.Event()

    def run(name: int) -> None:
        clients[name].Election(top + "/election", str(name)).run(
            lambda: (won.append(name), release.wait(30)))

    threads = [threading.Thread(target=run, args=(name,), daemon=True) for name in range(3)]
    for thread in threads:
        thread.start()
    wait_for(lambda: len(won) == 1, 10, "a winner")
    wait_for(lambda: len(clients[0].Election(top + "/election").contenders()) == 3, 10,
             "all to contend")
    release.set()
    wait_for(lambda: sorted(won) == [0, 1, 2], 20, "everybody's turn")
    for thread in threads:
        thread.join(10)


def test_a_barrier_and_a_double_barrier_hold_until_all_are_there(ensemble, top):
    first, second = ensemble.client(1), ensemble.client(2)
    barrier = first.Barrier(top + "/barrier")
    barrier.create()
    assert second.Barrier(top + "/barrier").wait(timeout=0.5) is False
    threading.Timer(0.3, barrier.remove).start()
    assert second.Barrier(top + "/barrier").wait(timeout=10) is True
    passed = []

    def meet(zk, name: str) -> None:
        double = zk.DoubleBarrier(top + "/double", 2, name)
        double.enter()
        passed.append(name)
        double.leave()

    threads = [threading.Thread(target=meet, args=(first, "a")),
               threading.Thread(target=meet, args=(second, "b"))]
    threads[0].start()
    wait_for(lambda: first.exists(top + "/double") and first.get_children(top + "/double"), 10,
             "the first to wait")
    assert passed == []
    threads[1].start()
    for thread in threads:
        thread.join(20)
    assert sorted(passed) == ["a", "b"]


def test_no_acknowledged_write_is_lost_and_sessions_survive_when_the_leader_is_killed(
        own_ensemble):
    ensemble = own_ensemble
    zk = ensemble.client()
    states = []
    zk.add_listener(states.append)
    session = zk.client_id[0]
    zk.ensure_path("/work")
    zk.create("/mine", ephemeral=True)
    acknowledged, stop = [], threading.Event()

    def write() -> None:
        number = 0
        while not stop.is_set():
            path = f"/work/{number}"
            try:
                zk.retry(zk.create, path)
            except exceptions.NodeExistsError:
                pass  # Its first attempt happened, and the answer was lost.
            acknowledged.append(path)
            number += 1

    writer = threading.Thread(target=write)
    writer.start()
    for _ in range(3):
        before = len(acknowledged)
        wait_for(lambda b=before: len(acknowledged) > b + 100, 30, "writes")
        leader = ensemble.leader()
        ensemble.kill(leader)
        before = len(acknowledged)
        wait_for(lambda b=before: len(acknowledged) > b + 100, 30, "writes without the leader")
        ensemble.start(leader)
        ensemble.wait_serving()
    stop.set()
    writer.join(30)
    assert KazooState.LOST not in states
    assert zk.client_id[0] == session
    for server in ensemble.ids:
        other = ensemble.client(server)
        other.sync("/work")
        there = set(other.get_children("/work"))
        assert [p for p in acknowledged if p.removeprefix("/work/") not in there] == []
        assert other.exists("/mine").ephemeralOwner == session


def test_what_was_acknowledged_is_there_after_all_servers_were_killed(run_directory):
    with Ensemble(run_directory / "ensemble", flags=("--snapshot-mib=1",)) as ensemble:
        zk = ensemble.client()
        written = [zk.create_async(f"/{i}", b"x" * 2000) for i in range(2000)]
        assert all(one.get(30) for one in written)
        zk.create("/c/d", b"last", makepath=True)
        session = zk.client_id
        for server in ensemble.ids:
            ensemble.kill(server)
        images = [p for p in (run_directory / "ensemble").rglob("snapshot-*")]
        assert images, "no image was made, so none is tried"
        for server in ensemble.ids:
            ensemble.start(server)
        ensemble.wait_serving()
        assert wait_for(lambda: zk.connected and zk.client_id, 20, "the session") == session
        assert len(zk.get_children("/")) == 2002
        assert zk.get("/c/d")[0] == b"last"


def test_an_observer_serves_reads_and_takes_writes_and_has_no_vote(run_directory):
    with Ensemble(run_directory / "ensemble", servers=3, observers=1) as ensemble:
        assert ensemble.mode(4) == "observer"
        zk = ensemble.client(4)
        zk.create("/by-the-observer", b"data")
        other = ensemble.client(1)
        other.sync("/")
        assert other.get("/by-the-observer")[0] == b"data"
        zk.sync("/")
        follower = next(s for s in (1, 2, 3) if ensemble.mode(s) == "follower")
        ensemble.kill(follower)
        zk.create("/with-two-votes")


@pytest.mark.parametrize("mode", ["zk", "quorum"])
def test_sync_catches_up_with_what_another_client_was_told(mode, run_directory):
    with Ensemble(run_directory / "ensemble", flags=(f"--sync={mode}",)) as ensemble:
        first, second = ensemble.client(1), ensemble.client(2)
        for i in range(100):
            first.create(f"/{i}")
            assert second.sync("/") == "/"
            assert second.exists(f"/{i}"), i


def test_four_letter_words_tell_how_a_server_is(ensemble):
    zk = ensemble.client(1)
    zk.exists("/nothing", watch=lambda _: None)
    assert ensemble.word(1, "ruok") == "imok"
    assert ensemble.word(1, "isro") == "rw"
    assert {ensemble.mode(server) for server in ensemble.ids} == {"leader", "follower"}
    assert f"sid=0x{zk.client_id[0]:x}" in ensemble.word(1, "cons")
    assert "Mode: " in ensemble.word(1, "srvr") and "Clients:" in ensemble.word(1, "stat")
    assert "tickTime=200" in ensemble.word(1, "conf")
    assert "Total watches:" in ensemble.word(1, "wchs")
    assert int(ensemble.monitor(1)["znode_count"]) >= 4


def test_an_oversized_znode_is_refused_by_name(ensemble, top):
    zk = ensemble.client()
    with pytest.raises(exceptions.BadArgumentsError):
        zk.create(top + "/big", b"x" * (1 << 20))
    zk.create(top + "/fits", b"x" * 1_000_000)
    with pytest.raises(exceptions.BadArgumentsError):
        zk.set(top + "/fits", b"x" * (1 << 20))


def test_an_acl_that_would_hold_nobody_back_is_refused_by_name(ensemble, top):
    zk = ensemble.client()
    reading = make_acl("world", "anyone", read=True)
    for acl in (reading, make_digest_acl("me", "secret", all=True)):
        with pytest.raises(exceptions.InvalidACLError):
            zk.create(top + "/a", acl=[acl])
        with pytest.raises(exceptions.InvalidACLError):
            zk.set_acls(top, [acl])
    assert zk.get_acls(top)[0] == OPEN_ACL_UNSAFE
    zk.set_acls(top, OPEN_ACL_UNSAFE)
    assert zk.get_acls(top)[1].aversion == 1


def test_a_session_is_not_given_to_a_wrong_password(ensemble, top):
    owner = ensemble.client()
    owner.create(top + "/e", ephemeral=True)
    with ensemble.connect(1) as thief:
        assert keeper.handshake(thief, owner.client_id[0], b"0" * 16)[:2] == (0, 0)
    assert owner.exists(top + "/e")
    assert any("wrong password" in ensemble.errors(server) for server in ensemble.ids)


def test_a_session_that_expired_is_told_so_and_one_that_moved_keeps_one_connection(ensemble):
    with ensemble.connect(1) as s, ensemble.connect(2) as later:
        timeout, session, password = keeper.handshake(s, timeout_ms=400)
        assert (timeout, len(password)) == (400, 16)
        assert keeper.handshake(later, session, password)[1] == session
        wait_for(lambda: any(f"session 0x{session:x} expired" in ensemble.errors(server)
                             for server in ensemble.ids), 10, "the session to expire")
    with ensemble.connect(3) as last:
        assert keeper.handshake(last, session, password)[:2] == (0, 0)


@pytest.mark.parametrize("sent, what", [
    (struct.pack("!i", 50_000), "a handshake of 50000 bytes"),
    (b"GET / HTTP/1.1\r\n\r\n", "a handshake of"),
    (struct.pack("!i", 28) + bytes(24) + b"\xff\xff\xff\xfe", "a buffer's length below -1")])
def test_a_handshake_that_is_none_ends_the_connection(ensemble, sent, what):
    with ensemble.connect(1) as s:
        s.sendall(sent)
        with pytest.raises(ConnectionError):
            keeper.receive_frame(s)
    assert ensemble.alive(1) and what in ensemble.errors(1)


def test_a_malformed_request_is_an_error_by_name_and_a_malformed_frame_ends_the_connection(
        ensemble):
    with ensemble.connect(1) as s:
        keeper.handshake(s)
        keeper.send_request(s, 1, 1, b"\0\0\0\2/a")  # A create that ends in the middle.
        assert keeper.receive_reply(s)[:2] == (1, -5)  # MarshallingError
        keeper.send_request(s, 2, 4, struct.pack("!i", 1 << 30))
        assert keeper.receive_reply(s)[:2] == (2, -5)
        keeper.send_request(s, 3, 999)
        assert keeper.receive_reply(s)[:2] == (3, -6)  # Unimplemented
        keeper.send_request(s, 4, 16)
        assert keeper.receive_reply(s)[:2] == (4, -123)  # ReconfigDisabled
        keeper.send_request(s, -2, 11)
        assert keeper.receive_reply(s)[:2] == (-2, 0)  # It still lives.
        s.sendall(struct.pack("!i", 1 << 30))
        with pytest.raises(ConnectionError):
            keeper.receive_frame(s)
    assert ensemble.alive(1)


def test_who_wants_to_authenticate_is_refused_by_name(ensemble):
    with ensemble.connect(1) as s:
        keeper.handshake(s)
        body = struct.pack("!ii6si4s", 0, 6, b"digest", 4, b"a:b!")
        keeper.send_request(s, -4, 100, body)
        assert keeper.receive_reply(s)[:2] == (-4, -115)  # AuthFailed
        with pytest.raises(ConnectionError):
            keeper.receive_frame(s)


def test_flags_that_are_wrong_are_named(run_directory):
    for flag, words in (("--tick-ms=1", "--tick-ms=1: allowed is 10 to 60000"),
                        ("--observers=9", "--observers=9: it is none of --voters"),
                        ("--nonsense=1", "--nonsense is unknown")):
        ran = subprocess.run([str(keeper.binary()), "--id=1", "--voters=1@127.0.0.1:1",
                              f"--dir={run_directory}", flag], capture_output=True, text=True,
                             timeout=30, check=False)
        assert ran.returncode == 2 and words in ran.stderr


@pytest.mark.skipif(ZK_CLI is None, reason="zkCli.sh is missing (Debian: zookeeper)")
def test_zookeepers_own_command_line_works_unmodified(ensemble, top):
    script = [f"create {top}/cli data", f"get -s {top}/cli", f"set {top}/cli new", f"get {top}/cli",
              f"ls {top}", f"create -e -s {top}/e- x", f"create -c {top}/container x",
              f"create -t 60000 {top}/ttl x", f"getAcl {top}/cli", "sync /",
              f"addWatch -m PERSISTENT_RECURSIVE {top}", f"create {top}/cli/below",
              f"getEphemerals {top}", f"getAllChildrenNumber {top}", f"deleteall {top}/cli",
              f"stat {top}/none", "quit"]
    ran = subprocess.run([ZK_CLI, "-server", ensemble.hosts(2)], input="\n".join(script) + "\n",
                         capture_output=True, text=True, timeout=120, check=False)
    said = ran.stdout + ran.stderr
    for words in (f"Created {top}/cli", "dataLength = 4", "\nnew\n", "[cli]",
                  f"Created {top}/e-0000000001", f"Created {top}/container", f"Created {top}/ttl",
                  "'world,'anyone", "Sync is OK", f"type:NodeCreated path:{top}/cli/below",
                  f"type:NodeDeleted path:{top}/cli/below", f"[{top}/e-0000000001]",
                  f"Node does not exist: {top}/none"):
        assert words in said, said
    zk = ensemble.client()
    zk.sync("/")
    assert sorted(zk.get_children(top)) == ["container", "ttl"]  # The ephemeral went with quit.
