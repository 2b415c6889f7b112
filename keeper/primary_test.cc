#include <boost/test/unit_test.hpp>

#include "keeper/test_tools.h"

namespace qlab::keeper {
namespace {

using wire::keeper::Request;

Request with_version(Request request, std::int32_t version) {
  request.version = version;
  return request;
}

// Names instead of numbers in a failing test's report.
std::string_view error_name(Bench& bench, const Request& request, std::int64_t session = 0,
                            NodeId origin = Bench::server) {
  return wire::keeper::name_of(bench.error_of(request, session, origin));
}

}  // namespace

BOOST_AUTO_TEST_SUITE(keeper_primary)

BOOST_AUTO_TEST_CASE(every_refusal_has_zookeepers_name) {
  Bench bench;
  const std::int64_t session = bench.open_session();
  bench.run(create_request("/a", "x"), session);
  bench.run(create_request("/a/b", "x"), session);
  bench.run(create_request("/e", "", 1), session);
  const auto remove = [](std::string path, std::int32_t version = -1) {
    return path_request(OpCode::remove, std::move(path), version);
  };
  BOOST_TEST(error_name(bench, create_request("/a", "")) == "NodeExists");
  BOOST_TEST(error_name(bench, create_request("/", "")) == "NodeExists");
  BOOST_TEST(error_name(bench, create_request("/none/b", "")) == "NoNode");
  BOOST_TEST(error_name(bench, create_request("/e/b", "")) == "NoChildrenForEphemerals");
  BOOST_TEST(error_name(bench, create_request("/a/../c", "")) == "BadArguments");
  BOOST_TEST(error_name(bench, create_request("/f", "", 9)) == "BadArguments");
  BOOST_TEST(error_name(bench, create_request("/f", "", 5)) == "BadArguments");  // No TTL is said.
  BOOST_TEST(error_name(bench, remove("/a")) == "NotEmpty");
  BOOST_TEST(error_name(bench, remove("/none")) == "NoNode");
  BOOST_TEST(error_name(bench, remove("/a/b", 3)) == "BadVersion");
  BOOST_TEST(error_name(bench, remove("/zookeeper")) == "BadArguments");
  BOOST_TEST(error_name(bench, path_request(OpCode::set_data, "/a", 3)) == "BadVersion");
  BOOST_TEST(error_name(bench, path_request(OpCode::set_data, "/none")) == "NoNode");
  BOOST_TEST(error_name(bench, path_request(OpCode::check, "/a", 1)) == "BadVersion");
  BOOST_TEST(error_name(bench, path_request(OpCode::check, "/a", 0)) == "Ok");
  Request closed = create_request("/g", "");
  closed.acl = {{1, "digest", "someone"}};
  BOOST_TEST(error_name(bench, closed) == "InvalidACL");
  closed.acl.clear();
  BOOST_TEST(error_name(bench, closed) == "InvalidACL");
  closed.acl = {{wire::keeper::all_perms & ~2, "world", "anyone"}};  // Nobody may write.
  BOOST_TEST(error_name(bench, closed) == "InvalidACL");
  Request restricted = path_request(OpCode::set_acl, "/a");
  restricted.acl = closed.acl;
  BOOST_TEST(error_name(bench, restricted) == "InvalidACL");
}

BOOST_AUTO_TEST_CASE(an_oversized_znode_is_refused) {
  Bench bench;  // Its limit is 1000 bytes of path and data.
  BOOST_TEST(error_name(bench, create_request("/a", std::string(998, 'x'))) == "Ok");
  BOOST_TEST(error_name(bench, create_request("/b", std::string(999, 'x'))) == "BadArguments");
  Request set = path_request(OpCode::set_data, "/a");
  set.data = data_of(std::string(999, 'x'));
  BOOST_TEST(error_name(bench, set) == "BadArguments");
}

BOOST_AUTO_TEST_CASE(a_body_that_does_not_decode_is_a_marshalling_error) {
  Bench bench;
  const Transaction refused =
      bench.primary.decide({Bench::server, 1, 0, OpCode::create, Bytes(3)}, 1);
  BOOST_TEST(wire::keeper::name_of(static_cast<ErrorCode>(refused.change.version)) ==
             "MarshallingError");
}

BOOST_AUTO_TEST_CASE(an_expired_session_and_one_that_moved_are_told) {
  Bench bench;
  const std::int64_t session = bench.open_session();
  BOOST_TEST(error_name(bench, create_request("/a"), 12345) == "SessionExpired");
  BOOST_TEST(error_name(bench, create_request("/a"), session, NodeId(1)) == "Ok");
  BOOST_TEST(error_name(bench, create_request("/b"), session, NodeId(2)) == "SessionMoved");
  bench.primary.move_session(session, NodeId(2));
  BOOST_TEST(error_name(bench, create_request("/b"), session, NodeId(2)) == "Ok");
  BOOST_TEST(error_name(bench, create_request("/c"), session, NodeId(1)) == "SessionMoved");
  bench.close_session(session, NodeId(2));
  BOOST_TEST(error_name(bench, create_request("/d"), session, NodeId(2)) == "SessionExpired");
}

BOOST_AUTO_TEST_CASE(writes_under_way_are_decided_against_the_state_to_come) {
  Bench bench;
  BOOST_TEST(error_name(bench, create_request("/a")) == "Ok");
  BOOST_TEST(error_name(bench, create_request("/a")) == "NodeExists");
  BOOST_TEST(error_name(bench, path_request(OpCode::set_data, "/a", 0)) == "Ok");
  BOOST_TEST(error_name(bench, path_request(OpCode::set_data, "/a", 0)) == "BadVersion");
  BOOST_TEST(error_name(bench, path_request(OpCode::set_data, "/a", 1)) == "Ok");
  BOOST_TEST(error_name(bench, create_request("/a/b")) == "Ok");
  BOOST_TEST(error_name(bench, path_request(OpCode::remove, "/a")) == "NotEmpty");
  bench.apply_one();  // Only the first: the rest is still to come.
  BOOST_TEST(error_name(bench, path_request(OpCode::set_data, "/a", 1)) == "BadVersion");
  BOOST_TEST(error_name(bench, path_request(OpCode::remove, "/a/b")) == "Ok");
  BOOST_TEST(error_name(bench, path_request(OpCode::remove, "/a", 2)) == "Ok");
  bench.apply_all();
  BOOST_TEST(bench.primary.outstanding() == 0u);
  BOOST_TEST(bench.state.tree().find("/a") == no_slot);
}

BOOST_AUTO_TEST_CASE(sequential_names_count_the_parents_children_ever) {
  Bench bench;
  bench.run(create_request("/q"));
  BOOST_TEST(bench.decide(create_request("/q/n-", "", 2)).path == "/q/n-0000000000");
  BOOST_TEST(bench.decide(create_request("/q/n-", "", 2)).path == "/q/n-0000000001");
  bench.apply_one();
  BOOST_TEST(error_name(bench, path_request(OpCode::remove, "/q/n-0000000000")) == "Ok");
  BOOST_TEST(bench.decide(create_request("/q/", "", 2)).path == "/q/0000000002");
  bench.apply_all();
  BOOST_TEST(bench.state.tree().stat_of(bench.state.tree().find("/q")).num_children == 2);
}

BOOST_AUTO_TEST_CASE(a_multi_happens_whole_or_not_at_all) {
  Bench bench;
  bench.run(create_request("/a"));
  const Change failed =
      bench.decide(multi_request({create_request("/b"), path_request(OpCode::set_data, "/a"),
                                  path_request(OpCode::check, "/a", 7), create_request("/c")}));
  std::vector<std::int32_t> errors;
  for (const Change& part : failed.parts) errors.push_back(part.version);
  BOOST_TEST((errors == std::vector<std::int32_t>{0, 0, -103, -2}));
  // Nothing of it counts for what comes next.
  BOOST_TEST(error_name(bench, create_request("/b")) == "Ok");
  BOOST_TEST(error_name(bench, path_request(OpCode::set_data, "/a", 0)) == "Ok");
  bench.decide(
      multi_request({create_request("/m"), create_request("/m/n"),
                     path_request(OpCode::check, "/m", 0), path_request(OpCode::remove, "/m/n")}));
  const Outcome outcome = bench.apply_all();
  BOOST_TEST(outcome.parts.size() == 4u);
  BOOST_TEST(outcome.parts[1].path == "/m/n");
  BOOST_TEST(bench.state.tree().find("/m") != no_slot);
  BOOST_TEST(bench.state.tree().find("/m/n") == no_slot);
}

BOOST_AUTO_TEST_CASE(the_end_of_a_session_takes_what_it_is_about_to_own) {
  Bench bench;
  const std::int64_t session = bench.open_session();
  bench.run(create_request("/gone", "", 1), session);
  bench.run(create_request("/kept", "", 1), session);
  bench.decide(path_request(OpCode::remove, "/gone"), session);
  bench.decide(create_request("/new", "", 1), session);
  bench.close_session(session);
  BOOST_TEST((bench.waiting.back().change.paths == std::vector<std::string>{"/kept", "/new"}));
  BOOST_TEST(error_name(bench, create_request("/new")) == "Ok");  // It is gone by then.
  bench.apply_all();
  BOOST_TEST(bench.state.tree().ephemerals() == 0u);
}

BOOST_AUTO_TEST_CASE(containers_and_nodes_with_a_time_to_live_go_when_the_leader_says_so) {
  Bench bench;
  bench.run(create_request("/c", "", 4));
  Request ttl = create_request("/t", "", 5);
  ttl.op = OpCode::create_ttl;
  ttl.ttl = 1000;
  bench.run(ttl);
  bench.run(create_request("/p"));
  BOOST_TEST(bench.state.tree().temporary().size() == 2u);
  const Slot slot = bench.state.tree().find("/t");
  BOOST_TEST(wire::keeper::ttl_of_owner(bench.state.tree().at(slot).owner) == 1000);
  bench.run(create_request("/c/child"));
  BOOST_TEST(error_name(bench, path_request(OpCode::delete_container, "/c")) == "NotEmpty");
  BOOST_TEST(error_name(bench, path_request(OpCode::delete_container, "/t")) == "Ok");
  BOOST_TEST(error_name(bench, path_request(OpCode::delete_container, "/p")) == "BadVersion");
  bench.apply_all();
  BOOST_TEST(bench.state.tree().temporary().size() == 1u);
}

BOOST_AUTO_TEST_CASE(an_acls_version_is_checked_and_counted) {
  Bench bench;
  bench.run(create_request("/a"));
  Request set = path_request(OpCode::set_acl, "/a", 0);
  set.acl = {{wire::keeper::all_perms, "world", "anyone"}};
  BOOST_TEST(bench.run(set).stat.aversion == 1);
  BOOST_TEST(error_name(bench, set) == "BadVersion");
  BOOST_TEST(error_name(bench, with_version(set, 1)) == "Ok");
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace qlab::keeper
