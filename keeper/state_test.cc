#include <boost/test/unit_test.hpp>

#include "common/prng.h"
#include "keeper/machine.h"
#include "keeper/peer_message.h"
#include "keeper/test_tools.h"

namespace qlab::keeper {
namespace {

// One random request of one of a few sessions, decided; some are refused.
void decide_something(Bench& bench, Prng& random, const std::vector<std::int64_t>& sessions) {
  const auto path = [&] {
    std::string made = fmt::format("/{}", random.below(3));
    if (random.chance(0.5)) made += fmt::format("/{}", random.below(3));
    return made;
  };
  const auto some = [&]() -> wire::keeper::Request {
    const auto which = random.below(10);
    if (which < 3)
      return create_request(path(), "x",
                            random.chance(0.02) ? 3 : static_cast<std::int32_t>(random.below(2)));
    if (which < 7) return path_request(OpCode::remove, path());
    if (which == 7) return create_request(path(), "c", 4);
    return path_request(OpCode::set_data, path());
  };
  const std::int64_t session = sessions[random.below(sessions.size())];
  if (random.chance(0.01)) return bench.close_session(session);
  if (random.chance(0.1)) {
    bench.decide(multi_request({some(), some()}), session);
  } else {
    bench.decide(some(), session);
  }
}

}  // namespace

BOOST_AUTO_TEST_SUITE(keeper_state)

BOOST_AUTO_TEST_CASE(zxids_count_the_entries_of_an_epoch) {
  State state;
  state.advance({Epoch(2), LogIndex(1)});
  BOOST_TEST(state.zxid() == (std::int64_t{2} << 32 | 1));
  state.advance({Epoch(2), LogIndex(2)});
  state.advance({Epoch(5), LogIndex(3)});
  BOOST_TEST(state.zxid() == (std::int64_t{5} << 32 | 1));
  state.advance({Epoch(5), LogIndex(4)});
  BOOST_TEST(state.zxid() == (std::int64_t{5} << 32 | 2));
}

BOOST_AUTO_TEST_CASE(a_transaction_comes_back_as_it_was_and_a_torn_one_is_corrupt) {
  Bench bench;
  const std::int64_t session = bench.open_session();
  bench.decide(multi_request({create_request("/a", "x", 1), path_request(OpCode::check, "/a")}),
               session);
  const Transaction transaction = bench.waiting.back();
  const Bytes bytes = encode(transaction);
  BOOST_TEST((*decode_transaction(bytes) == transaction));
  for (std::size_t cut = 0; cut < bytes.size(); ++cut) {
    BOOST_TEST(!decode_transaction(ByteView(bytes).first(cut)).has_value());
  }
}

BOOST_AUTO_TEST_CASE(a_message_between_servers_comes_back_as_it_was_and_a_torn_one_is_corrupt) {
  PeerMessage message;
  message.kind = PeerKind::touch;
  message.epoch = Epoch(4);
  message.id = 5;
  message.session = 6;
  message.sessions = {7, 8};
  message.body = *data_of("body");
  const Bytes bytes = encode(message);
  const auto back = decode_peer_message(bytes);
  BOOST_REQUIRE(back.has_value());
  BOOST_TEST((back->sessions == message.sessions));
  BOOST_TEST((back->body == message.body));
  const std::size_t head = bytes.size() - message.body.size();
  for (std::size_t cut = 0; cut < head; ++cut) {
    BOOST_TEST(!decode_peer_message(ByteView(bytes).first(cut)).has_value());
  }
  Bytes unknown = bytes;
  unknown[0] = std::byte{99};
  BOOST_TEST((decode_peer_message(unknown).error().code == Errc::corrupt));
}

BOOST_AUTO_TEST_CASE(an_entry_that_does_not_decode_stops_the_machine_and_what_is_no_entry_counts) {
  Machine machine;
  const auto body = std::make_shared<const Bytes>(Bytes(3));
  machine.apply({{{Epoch(1), LogIndex(1)}, consensus::EntryKind::no_op, body}});
  BOOST_TEST(machine.state().zxid() == (std::int64_t{1} << 32 | 1));
  machine.apply({{{Epoch(1), LogIndex(2)}, consensus::EntryKind::data, body}});
  Transaction create;
  create.change.op = OpCode::create;
  create.change.path = "/a";
  const auto good = std::make_shared<const Bytes>(encode(create));
  machine.apply({{{Epoch(1), LogIndex(3)}, consensus::EntryKind::data, good}});
  BOOST_TEST(machine.state().tree().find("/a") == no_slot);
}

BOOST_AUTO_TEST_CASE(an_image_is_of_its_moment_and_makes_the_same_state) {
  for (std::uint64_t seed = 1; seed <= 20; ++seed) {
    Bench bench;
    Prng random(seed);
    std::vector<std::int64_t> sessions;
    for (int i = 0; i < 5; ++i) sessions.push_back(bench.open_session());
    for (int i = 0; i < 500; ++i) decide_something(bench, random, sessions);
    bench.apply_all();
    const std::string then = describe(bench.state);
    const Bytes at_once = image_of(bench.state);
    // Read slowly while the state moves on.
    const auto source = bench.state.image();
    Bytes slowly;
    for (Bytes piece = source->next(1); !piece.empty(); piece = source->next(1)) {
      slowly.insert(slowly.end(), piece.begin(), piece.end());
      for (int i = 0; i < 20; ++i) decide_something(bench, random, sessions);
      bench.apply_all();
    }
    BOOST_TEST_CONTEXT("seed " << seed) {
      BOOST_TEST(describe(bench.state) != then);
      BOOST_TEST((slowly == at_once));
      auto restored = restore(slowly);
      BOOST_REQUIRE(restored.has_value());
      BOOST_TEST(describe(*restored) == then);
      BOOST_TEST((image_of(*restored) == at_once));
    }
  }
}

// What follows an image makes the same slots on who restored it as on who made it.
BOOST_AUTO_TEST_CASE(replicas_stay_the_same_behind_an_image) {
  Bench bench;
  Prng random(5);
  const std::vector<std::int64_t> sessions = {bench.open_session(), bench.open_session()};
  for (int i = 0; i < 300; ++i) decide_something(bench, random, sessions);
  bench.apply_all();
  auto other = restore(image_of(bench.state));
  BOOST_REQUIRE(other.has_value());
  const std::size_t from = bench.log.size();
  for (int i = 0; i < 300; ++i) decide_something(bench, random, sessions);
  bench.apply_all();
  for (std::size_t i = from; i < bench.log.size(); ++i) {
    other->advance({bench.epoch, LogIndex(static_cast<std::int64_t>(i + 1))});
    other->apply(bench.log[i]);
  }
  BOOST_TEST((image_of(*other) == image_of(bench.state)));
}

// ZooKeeper's images are fuzzy: they have some of what follows them. Ours are not, and yet a run of
// transactions over a state that has some of them ends in the right state.
BOOST_AUTO_TEST_CASE(transactions_that_are_applied_again_do_no_harm) {
  for (std::uint64_t seed = 1; seed <= 300; ++seed) {
    Bench bench;
    Prng random(seed);
    std::vector<std::int64_t> sessions;
    for (int i = 0; i < 3; ++i) sessions.push_back(bench.open_session());
    for (int i = 0; i < 200; ++i) decide_something(bench, random, sessions);
    bench.apply_all();
    const std::size_t count = bench.log.size();
    const std::size_t reached = random.below(count);
    const std::size_t from = random.below(reached + 1);
    State state;
    const auto apply = [&](std::size_t first, std::size_t last) {
      for (std::size_t i = first; i < last; ++i) {
        state.advance({bench.epoch, LogIndex(static_cast<std::int64_t>(i + 1))});
        state.apply(bench.log[i]);
      }
    };
    state.advance({bench.epoch, LogIndex(1)});
    apply(0, reached);
    apply(from, count);
    BOOST_TEST_CONTEXT("seed " << seed << " from " << from << " over " << reached) {
      BOOST_TEST(describe(state) == describe(bench.state));
    }
  }
}

BOOST_AUTO_TEST_CASE(a_damaged_image_is_corrupt_and_never_believed) {
  Bench bench;
  Prng random(9);
  const std::vector<std::int64_t> sessions = {bench.open_session()};
  for (int i = 0; i < 100; ++i) decide_something(bench, random, sessions);
  bench.apply_all();
  const Bytes image = image_of(bench.state);
  for (std::size_t cut = 0; cut < image.size(); cut += 7) {
    BOOST_TEST(!restore(ByteView(image).first(cut)).has_value());
  }
  int refused = 0;
  for (int round = 0; round < 2000; ++round) {
    Bytes damaged = image;
    damaged[random.below(damaged.size())] ^= static_cast<std::byte>(1 + random.below(255));
    refused += restore(damaged).has_value() ? 0 : 1;  // Some bits are data: nobody can tell.
  }
  BOOST_TEST(refused > 200);
}

BOOST_AUTO_TEST_CASE(the_end_of_a_session_takes_its_ephemerals) {
  Bench bench;
  const std::int64_t session = bench.open_session();
  const std::int64_t other = bench.open_session();
  BOOST_TEST(session != other);
  bench.run(create_request("/mine", "", 1), session);
  bench.run(create_request("/theirs", "", 1), other);
  bench.close_session(session);
  const Outcome outcome = bench.apply_all();
  BOOST_TEST((outcome.removed == std::vector<std::string>{"/mine"}));
  BOOST_TEST(bench.state.tree().find("/mine") == no_slot);
  BOOST_TEST(bench.state.tree().find("/theirs") != no_slot);
  BOOST_TEST(bench.state.session(session) == nullptr);
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace qlab::keeper
