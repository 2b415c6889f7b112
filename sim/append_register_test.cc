#include "sim/append_register.h"

#include <boost/test/unit_test.hpp>

#include "runtime/simulated/world.h"

namespace qlab::sim {
namespace {

using consensus::Entry;
using consensus::EntryKind;

Entry entry_of(std::int64_t index, std::uint64_t value) {
  const auto body = std::make_shared<const Bytes>(AppendRegister::body_of(value, 0));
  return {{Epoch{1}, LogIndex{index}}, EntryKind::data, body};
}

// What a leader sends to a witness in its place.
Entry stripped(const Entry& entry) {
  return {entry.id, EntryKind::no_op, std::make_shared<const Bytes>()};
}

struct Bed {
  Bed() {
    std::uint64_t chain = 0;
    for (std::int64_t index = 1; index <= 3; ++index) {
      const Entry entry = entry_of(index, static_cast<std::uint64_t>(10 * index));
      const ChainedEntry known = chain_after(chain, entry);
      history.entries[Epoch{1}].emplace(index, known);
      chain = known.chain;
    }
  }
  std::vector<std::int64_t> reported() {
    std::vector<std::int64_t> indexes;
    for (const auto& applied : history.fresh.applied) {
      indexes.push_back(applied.entry.id.index.value());
    }
    return indexes;
  }

  runtime::SimulatedWorld world{1};
  runtime::SimulatedNode& node = world.node(NodeId{1});
  History history;
  AppendRegister full{node, history, 0};
  AppendRegister witness{node, history, 0};
};

}  // namespace

BOOST_AUTO_TEST_SUITE(append_register)

BOOST_FIXTURE_TEST_CASE(who_misses_a_body_is_blind_until_an_image_brings_it, Bed) {
  full.apply({entry_of(1, 10), entry_of(2, 20)});
  history.fresh = {};
  witness.apply({entry_of(1, 10)});
  BOOST_TEST(!witness.is_blind());
  witness.apply({stripped(entry_of(2, 20))});
  BOOST_TEST(witness.is_blind());
  BOOST_TEST((witness.snapshot() == nullptr));
  BOOST_TEST(reported() == std::vector<std::int64_t>{1}, boost::test_tools::per_element());

  const auto image = full.snapshot();
  witness.begin_restore({Epoch{1}, LogIndex{2}});
  BOOST_TEST(witness.restore_piece(image->next(1000)).has_value());
  BOOST_TEST(witness.restored().has_value());
  BOOST_TEST(!witness.is_blind());
  BOOST_TEST(witness.state() == full.state());
  witness.apply({stripped(entry_of(3, 30))});
  BOOST_TEST(witness.is_blind());
}

BOOST_FIXTURE_TEST_CASE(an_entry_that_has_no_body_anywhere_blinds_nobody, Bed) {
  const Entry nothing{{Epoch{2}, LogIndex{1}}, EntryKind::no_op, std::make_shared<const Bytes>()};
  history.entries[Epoch{2}].emplace(1, chain_after(0, nothing));
  full.apply({nothing});
  BOOST_TEST(!full.is_blind());
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace qlab::sim
