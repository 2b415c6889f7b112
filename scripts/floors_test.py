"""Tests of floors.py: each rule is red for a file that breaks it."""

import pytest

import floors


def complaints(path, *lines):
    return floors.check({path: "\n".join(lines) + "\n"})


@pytest.mark.parametrize("path, line", [
    ("common/a.h", '#include "wire/kafka/errors.h"'),
    ("wire/a.h", '#include "runtime/runtime.h"'),
    ("runtime/runtime.h", '#include "wire/proto/peer.h"'),
    ("storage/log.cc", '#include "consensus/types.h"'),
    ("consensus/driver.cc", '#include "raft/raft.h"'),
    ("raft/leader.cc", '#include "storage/log.h"'),
    ("raft/leader.cc", '#include "runtime/runtime.h"'),
    ("raft/leader.cc", '#include "consensus/driver.h"'),
    ("zab/election.cc", '#include "raft/raft.h"'),
    ("zab/election.cc", '#include "consensus/script.h"'),
    ("metadata/image.h", '#include "runtime/runtime.h"'),
    ("client/producer.cc", '#include "storage/log.h"'),
    ("replication/isr.cc", '#include "controller/controller.h"'),
    ("keeper/tree.cc", '#include "metadata/image.h"'),
    ("controller/controller.h", '#include "keeper/tree.h"'),
    ("broker/node.cc", '#include "sim/cluster.h"'),
    ("experiments/load/main.cc", '#include "broker/config.h"'),
    ("experiments/load/main.cc", '  #  include "storage/log.h"'),
])
def test_an_include_of_a_higher_or_foreign_floor_is_red(path, line):
    found = complaints(path, "#pragma once", line)
    assert len(found) == 1
    assert found[0].startswith(f"{path}:2: ")
    assert "may not include" in found[0]


@pytest.mark.parametrize("path, line", [
    ("storage/log.cc", '#include "storage/engine.h"'),
    ("runtime/real/transport.cc", '#include "wire/proto/peer.h"'),
    ("runtime/real/transport.cc", "#include <peer.grpc.pb.h>"),
    ("raft/leader.cc", '#include "consensus/types.h"'),
    ("controller/zk/state.cc", '#include "keeper/client.h"'),
    ("broker/modules.cc", '#include "raft/raft.h"'),
    ("storage/engines.cc", '#include "storage/engines/uring.h"'),
    ("storage/engines/uring.cc", '#include "storage/engines/uring.h"'),
    ("storage/engine_contract_test.cc", '#include "storage/engines/uring.h"'),
    ("runtime/real/runtime.cc", "#include <thread>"),
    ("raft/raft_test.cc", "#include <fstream>"),
    ("consensus/contract_test.cc", '#include "sim/modules.h"'),
    ("zab/script_test.cc", '#include "consensus/script.h"'),
])
def test_what_the_table_allows_is_green(path, line):
    assert complaints(path, line) == []


@pytest.mark.parametrize("path, line", [
    ("storage/log.cc", '#include "storage/engines/uring.h"'),
    ("broker/node.cc", '#include "raft/raft.h"'),
    ("broker/node.cc", '#include "controller/quorum/controller.h"'),
    ("sim/cluster.cc", '#include "zab/zab.h"'),
])
def test_a_concrete_plug_is_named_in_one_file_only(path, line):
    assert "is a concrete plug" in complaints(path, line)[0]


@pytest.mark.parametrize("header", ["thread", "mutex", "random", "sys/socket.h", "liburing.h",
                                    "boost/asio/ip/tcp.hpp", "boost/asio/steady_timer.hpp"])
def test_the_world_is_not_touched_above_the_runtime(header):
    assert "touches the world" in complaints("storage/log.cc", f"#include <{header}>")[0]


@pytest.mark.parametrize("header", ["thread", "atomic", "ctime", "fstream",
                                    "boost/asio/awaitable.hpp", "grpcpp/grpcpp.h"])
def test_a_protocol_core_is_pure(header):
    assert len(complaints("zab/leader.cc", f"#include <{header}>")) == 1


def test_an_include_that_is_not_rooted_is_red():
    assert "does not start at the root" in complaints("raft/a.cc", '#include "leader.h"')[0]


def test_our_own_header_in_angle_brackets_is_red():
    assert "is ours" in complaints("raft/a.cc", "#include <common/bytes.h>")[0]


def test_a_new_folder_needs_a_row():
    assert "has no row" in complaints("misc/a.cc", "#include <vector>")[0]


def test_an_include_in_a_comment_does_not_count():
    assert complaints("common/a.h", '// #include "broker/node.h"') == []
