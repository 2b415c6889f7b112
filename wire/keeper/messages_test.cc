#include "wire/keeper/messages.h"

#include <boost/test/unit_test.hpp>

#include "common/prng.h"

namespace qlab::wire::keeper {
namespace {

constexpr OpCode with_body[] = {OpCode::create,         OpCode::remove,
                                OpCode::exists,         OpCode::get_data,
                                OpCode::set_data,       OpCode::get_acl,
                                OpCode::set_acl,        OpCode::get_children,
                                OpCode::sync,           OpCode::ping,
                                OpCode::get_children2,  OpCode::check,
                                OpCode::multi,          OpCode::create2,
                                OpCode::check_watches,  OpCode::remove_watches,
                                OpCode::create_ttl,     OpCode::create_container,
                                OpCode::multi_read,     OpCode::set_watches,
                                OpCode::get_ephemerals, OpCode::get_all_children_number,
                                OpCode::set_watches2,   OpCode::add_watch,
                                OpCode::create_session, OpCode::close_session};

Bytes bytes_of(std::string_view text) {
  const ByteView view = as_view(text);
  return {view.begin(), view.end()};
}

// Only the fields that the type has.
Request some_request(OpCode op) {
  Request request;
  request.op = op;
  if (op == OpCode::ping || op == OpCode::close_session) return request;
  if (op == OpCode::create_session) {
    request.mode = 4000;
    request.data = bytes_of("0123456789abcdef");
    return request;
  }
  if (op == OpCode::multi) {
    for (const OpCode part : {OpCode::create, OpCode::remove, OpCode::set_data, OpCode::check}) {
      request.parts.push_back(some_request(part));
    }
    return request;
  }
  if (op == OpCode::multi_read) {
    request.parts = {some_request(OpCode::get_data), some_request(OpCode::get_children)};
    return request;
  }
  if (op == OpCode::set_watches || op == OpCode::set_watches2) {
    request.relative_zxid = 0x500000007;
    request.data_watches = {"/a", "/b"};
    request.child_watches = {"/c"};
    if (op == OpCode::set_watches2) request.recursive_watches = {"/"};
    return request;
  }
  request.path = "/some/path";
  if (op == OpCode::create || op == OpCode::create2 || op == OpCode::create_container ||
      op == OpCode::create_ttl) {
    request.data = bytes_of("data");
    request.acl = {{all_perms, "world", "anyone"}};
    request.flags = 3;
    if (op == OpCode::create_ttl) request.ttl = 1000;
  }
  if (op == OpCode::set_acl) request.acl = {{1, "digest", "a:b"}};
  if (op == OpCode::remove || op == OpCode::set_data || op == OpCode::check) request.version = 7;
  if (op == OpCode::exists || op == OpCode::get_data) request.watch = true;
  if (op == OpCode::add_watch) request.mode = 1;
  return request;
}

Bytes body_of(const Request& request) {
  BytesWriter out;
  put_body(out, request);
  return out.take();
}

}  // namespace

BOOST_AUTO_TEST_SUITE(keeper_messages)

BOOST_AUTO_TEST_CASE(requests_of_every_type_come_back_as_they_were) {
  for (const OpCode op : with_body) {
    const Request request = some_request(op);
    const auto back = decode_body(op, body_of(request));
    BOOST_TEST_CONTEXT(name_of(op)) {
      BOOST_REQUIRE(back.has_value());
      BOOST_TEST((*back == request));
    }
  }
}

// As kazoo's own encoder writes `create("/a", b"x", flags=2)`: these bytes were taken from it.
BOOST_AUTO_TEST_CASE(a_create_is_the_bytes_that_clients_send) {
  const std::string_view sent(
      "\0\0\0\2/a\0\0\0\1x\0\0\0\1\0\0\0\x1f\0\0\0\5world\0\0\0\6anyone\0\0\0\2", 42);
  const auto request = decode_body(OpCode::create, as_view(sent));
  BOOST_REQUIRE(request.has_value());
  BOOST_TEST(request->path == "/a");
  BOOST_TEST((request->acl == std::vector<Acl>{{all_perms, "world", "anyone"}}));
  BOOST_TEST(request->flags == 2);
  BOOST_TEST((body_of(*request) == bytes_of(sent)));
}

BOOST_AUTO_TEST_CASE(no_data_is_another_value_than_no_bytes) {
  Request request = some_request(OpCode::set_data);
  request.data = std::nullopt;
  BOOST_TEST(!decode_body(request.op, body_of(request))->data.has_value());
  request.data = Bytes{};
  BOOST_TEST(decode_body(request.op, body_of(request))->data.has_value());
}

BOOST_AUTO_TEST_CASE(a_handshake_comes_back_as_it_was_with_and_without_its_last_field) {
  for (const bool last_field : {true, false}) {
    const ConnectRequest request{0, 5, 10'000, 77, bytes_of("password"), last_field, false};
    BytesWriter out;
    put(out, request);
    BOOST_TEST((*decode_connect(out.view()) == request));
    const ConnectReply reply{4000, 77, bytes_of("password"), last_field};
    BytesWriter answer;
    put(answer, reply);
    BOOST_TEST((*decode_connect_reply(answer.view()) == reply));
  }
}

BOOST_AUTO_TEST_CASE(a_stat_and_an_event_come_back_as_they_were) {
  const Stat stat{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11};
  BytesWriter out;
  put(out, stat);
  const WatchEvent event{EventType::node_children_changed, "/a"};
  put(out, event);
  BOOST_TEST(out.size() == 68u + 4 + 4 + 4 + 2);
  BytesReader in(out.view());
  BOOST_TEST((get_stat(in) == stat));
  BOOST_TEST((get_event(in) == event));
  BOOST_TEST(in.status().has_value());
}

BOOST_AUTO_TEST_CASE(a_request_that_ends_early_or_late_is_corrupt) {
  for (const OpCode op : with_body) {
    Bytes body = body_of(some_request(op));
    for (std::size_t cut = 0; cut < body.size(); ++cut) {
      const auto torn = decode_body(op, ByteView(body).first(cut));
      BOOST_TEST_CONTEXT(name_of(op) << " cut at " << cut) {
        BOOST_REQUIRE(!torn.has_value());
        BOOST_TEST((torn.error().code == Errc::corrupt));
      }
    }
    body.push_back(std::byte{0});
    BOOST_TEST(!decode_body(op, body).has_value());
  }
}

BOOST_AUTO_TEST_CASE(a_list_that_claims_more_than_its_frame_holds_takes_no_memory) {
  const std::string_view claims("\0\0\0\2/a\0\0\0\1x\x7f\xff\xff\xff", 15);
  BOOST_TEST((decode_body(OpCode::create, as_view(claims)).error().code == Errc::corrupt));
  const std::string_view negative("\xff\xff\xff\xfe", 4);
  BOOST_TEST((decode_body(OpCode::sync, as_view(negative)).error().code == Errc::corrupt));
}

BOOST_AUTO_TEST_CASE(a_part_that_no_multi_has_and_a_type_that_nobody_has_are_refused) {
  Request multi = some_request(OpCode::multi);
  multi.parts.push_back(some_request(OpCode::get_data));
  BOOST_TEST((decode_body(OpCode::multi, body_of(multi)).error().code == Errc::corrupt));
  BOOST_TEST((decode_body(OpCode{999}, {}).error().code == Errc::unsupported));
  BOOST_TEST((decode_body(OpCode::sasl, {}).error().code == Errc::unsupported));
}

BOOST_AUTO_TEST_CASE(random_bytes_are_decoded_or_refused) {
  Prng random(7);
  for (int round = 0; round < 20'000; ++round) {
    Bytes bytes(random.below(60));
    for (std::byte& one : bytes) one = static_cast<std::byte>(random.below(4) ? 0 : random.next());
    for (const OpCode op : {OpCode::create, OpCode::multi, OpCode::set_watches2}) {
      const auto request = decode_body(op, bytes);
      if (!request) BOOST_REQUIRE((request.error().code == Errc::corrupt));
    }
    static_cast<void>(decode_connect(bytes));
  }
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace qlab::wire::keeper
