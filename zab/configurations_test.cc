#include "zab/configurations.h"

#include <boost/test/unit_test.hpp>

namespace qlab::zab {
namespace {

using consensus::Config;
using consensus::LogId;
using consensus::SnapshotMeta;

Config config_of(std::initializer_list<int> voters, std::initializer_list<int> outgoing = {}) {
  Config config;
  for (const int id : voters) config.members.push_back({NodeId{id}});
  for (const int id : outgoing) config.outgoing.push_back({NodeId{id}});
  return config;
}

LogId id(std::int64_t epoch, std::int64_t index) {
  return {Epoch{epoch}, LogIndex{index}};
}

constexpr NodeId peer{2};

// Of 1, 2, 3; a change to 3, 4, 5 at 1/4, and its end at 1/6.
Configurations changed() {
  const Config first = config_of({1, 2, 3});
  Configurations known({{}, first}, first);
  known.append({id(1, 4), config_of({3, 4, 5}, {1, 2, 3})});
  known.append({id(1, 6), config_of({3, 4, 5})});
  return known;
}

BOOST_AUTO_TEST_SUITE(zab_configurations)

BOOST_AUTO_TEST_CASE(what_is_cut_from_the_log_is_in_force_no_longer) {
  Configurations known = changed();
  BOOST_TEST(!known.is_voter(NodeId{1}));
  BOOST_TEST(!known.truncate(LogIndex{7}, {}));
  BOOST_TEST(known.truncate(LogIndex{6}, {}));
  BOOST_TEST((known.at() == id(1, 4)));
  BOOST_TEST(known.is_voter(NodeId{1}));
  BOOST_TEST(known.is_voter(NodeId{5}));
  BOOST_TEST(known.truncate(LogIndex{1}, {}));
  BOOST_TEST((known.at() == LogId{}));
  BOOST_TEST((known.in_force() == config_of({1, 2, 3})));
}

BOOST_AUTO_TEST_CASE(a_cut_behind_an_image_leaves_the_configuration_of_the_image) {
  Configurations known = changed();
  known.compact({id(1, 5), config_of({3, 4, 5}, {1, 2, 3}), 0});
  BOOST_TEST(known.truncate(LogIndex{6}, id(1, 5)));
  BOOST_TEST((known.at() == id(1, 5)));
  BOOST_TEST((known.in_force() == config_of({3, 4, 5}, {1, 2, 3})));
}

BOOST_AUTO_TEST_CASE(an_image_counts_unless_the_log_goes_on_behind_it_with_another) {
  Configurations known = changed();
  const SnapshotMeta image{id(1, 5), config_of({3, 4, 5}, {1, 2, 3}), 0};
  BOOST_TEST(!known.install(image, false));
  BOOST_TEST((known.at() == id(1, 6)));
  BOOST_TEST(known.install({id(2, 8), config_of({1}), 0}, true));
  BOOST_TEST((known.in_force() == config_of({1})));
}

BOOST_AUTO_TEST_CASE(only_a_later_configuration_that_is_decided_is_adopted) {
  Configurations known = changed();
  BOOST_TEST(!known.adopt(id(1, 6), config_of({1})));
  BOOST_TEST(!known.adopt(id(1, 8), config_of({1}, {3, 4, 5})));
  BOOST_TEST((known.in_force() == config_of({3, 4, 5})));
  BOOST_TEST(!known.adopt(id(1, 7), config_of({3, 4, 5})));  // Who votes is as before.
  BOOST_TEST((known.at() == id(1, 7)));
  BOOST_TEST(known.adopt(id(1, 9), config_of({1})));
  BOOST_TEST(known.is_voter(NodeId{1}));
  BOOST_TEST((known.logged().at == id(1, 6)));
  known.append({id(1, 8), config_of({1}, {3, 4, 5})});  // What it was decided with is on its way.
  BOOST_TEST((known.in_force() == config_of({1})));
  known.append({id(2, 10), config_of({1, 2})});
  BOOST_TEST((known.at() == id(2, 10)));
}

BOOST_AUTO_TEST_CASE(a_peer_that_goes_by_another_is_told_ours) {
  Configurations known = changed();
  BOOST_TEST(!known.news_for(peer).has_value());  // It said nothing yet.
  BOOST_TEST(!known.is_untold(peer));
  known.hear(peer, {}, std::nullopt);
  BOOST_TEST(known.is_untold(peer));
  BOOST_TEST((known.news_for(peer) == config_of({3, 4, 5})));
  BOOST_TEST(!known.is_untold(peer));
  BOOST_TEST(known.news_for(peer).has_value());  // It may not have it yet.
  known.begin_stream(peer);
  BOOST_TEST(known.is_untold(peer));
  known.hear(peer, id(1, 6), std::nullopt);
  BOOST_TEST(!known.news_for(peer).has_value());
}

BOOST_AUTO_TEST_CASE(what_a_peer_goes_by_counts_for_as_long_as_it_does) {
  Configurations known = changed();
  Config theirs = config_of({1, 2, 6}, {7});
  theirs.members[2].weight = 0;
  known.hear(peer, id(2, 9), theirs);
  BOOST_TEST((known.of(peer) == theirs));
  BOOST_TEST((known.of(NodeId{3}) == config_of({3, 4, 5})));
  BOOST_TEST(known.is_voter_anywhere(NodeId{6}));
  BOOST_TEST(!known.weighs_anywhere(NodeId{6}));
  BOOST_TEST(known.weighs_anywhere(NodeId{7}));
  BOOST_TEST(known.weighs_anywhere(NodeId{4}));
  BOOST_TEST(!known.weighs(NodeId{7}));
  known.hear(peer, id(2, 9), std::nullopt);  // It thinks that ours is the same now.
  BOOST_TEST(known.weighs_anywhere(NodeId{7}));
  known.hear(peer, id(1, 6), std::nullopt);
  BOOST_TEST(!known.weighs_anywhere(NodeId{7}));
  known.hear(peer, id(2, 9), theirs);
  known.forget(peer);
  BOOST_TEST(!known.is_voter_anywhere(NodeId{7}));
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace qlab::zab
