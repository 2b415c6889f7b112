// Quorums and configurations, against naive twins and bad bytes.
#include "consensus/quorum.h"

#include <boost/test/unit_test.hpp>

#include "common/prng.h"
#include "consensus/config.h"

namespace qlab::consensus {
namespace {

Config of(std::vector<Member> members) {
  Config config;
  config.members = std::move(members);
  return config;
}
Member voter(std::int32_t id, std::uint32_t weight = 1, std::uint32_t group = 0) {
  Member member{NodeId{id}};
  member.weight = weight;
  member.group = group;
  return member;
}
Member other(std::int32_t id, MemberRole role) {
  Member member{NodeId{id}};
  member.role = role;
  return member;
}
bool agree(const Config& config, std::set<std::int32_t> who, QuorumUse use = QuorumUse::commit) {
  return is_quorum(config, use, [&](NodeId id) { return who.contains(id.value()); });
}

BOOST_AUTO_TEST_SUITE(consensus_quorum)

BOOST_AUTO_TEST_CASE(observers_count_for_nothing_and_witnesses_count) {
  const Config config = of({voter(1), voter(2), other(3, MemberRole::witness),
                            other(4, MemberRole::observer), other(5, MemberRole::observer)});
  BOOST_TEST(!agree(config, {1, 4, 5}));
  BOOST_TEST(agree(config, {1, 3}));
  BOOST_TEST((voters_of(config) == std::set{NodeId{1}, NodeId{2}, NodeId{3}}));
}

BOOST_AUTO_TEST_CASE(a_joint_configuration_needs_both_halves) {
  Config config = of({voter(3), voter(4), voter(5)});
  config.outgoing = {voter(1), voter(2), voter(3)};
  BOOST_TEST(!agree(config, {3, 4, 5}));
  BOOST_TEST(!agree(config, {1, 2, 3}));
  BOOST_TEST(agree(config, {1, 3, 4}));
}

BOOST_AUTO_TEST_CASE(quorums_of_chosen_sizes_meet) {
  Config config = of({voter(1), voter(2), voter(3), voter(4)});
  config.election_quorum = 3;
  config.commit_quorum = 2;
  BOOST_TEST(check_config(config).has_value());
  BOOST_TEST(agree(config, {1, 2}));
  BOOST_TEST(!agree(config, {1, 2}, QuorumUse::elect));
  config.election_quorum = 2;
  BOOST_TEST(check_config(config).error().context ==
             "with 4 voters, 2 that elect may miss 2 that commit, or 2 that elect");
}

BOOST_AUTO_TEST_CASE(weights_count_within_groups_and_groups_among_themselves) {
  const Config config = of({voter(1, 1, 1), voter(2, 1, 1), voter(3, 1, 1), voter(4, 3, 2),
                            voter(5, 1, 2), voter(6, 1, 3), voter(7, 0, 3)});
  BOOST_TEST(agree(config, {1, 2, 4}));
  BOOST_TEST(!agree(config, {1, 2, 5}));
  BOOST_TEST(agree(config, {4, 6}));
  BOOST_TEST(!agree(config, {4, 7}));
}

BOOST_AUTO_TEST_CASE(what_a_quorum_has_reached_is_what_counting_says) {
  Prng random(1);
  for (int round = 0; round < 2000; ++round) {
    Config config;
    std::map<NodeId, std::int64_t> values;
    const std::int32_t count = 1 + static_cast<std::int32_t>(random.below(7));
    for (std::int32_t id = 1; id <= count; ++id) {
      config.members.push_back(voter(id));
      values[NodeId{id}] = random.between(0, 5);
    }
    const auto reached = reached_by_quorum<std::int64_t>(config, QuorumUse::commit, -1,
                                                         [&](NodeId id) { return values.at(id); });
    std::vector<std::int64_t> sorted;
    for (const auto& [id, value] : values) sorted.push_back(value);
    std::sort(sorted.rbegin(), sorted.rend());
    BOOST_TEST(reached == sorted[static_cast<std::size_t>(count / 2)]);
  }
}

BOOST_AUTO_TEST_CASE(a_configuration_survives_its_bytes_and_no_other_bytes_pass) {
  Config config = of({voter(1, 2, 3), other(2, MemberRole::witness), voter(9)});
  config.members[0].directory = Uuid{5, 6};
  config.outgoing = {voter(1)};
  const Bytes bytes = encode_config(config);
  BOOST_TEST((decode_config(bytes).value() == config));
  for (std::size_t keep = 0; keep < bytes.size(); ++keep) {
    BOOST_TEST((decode_config(ByteView(bytes).first(keep)).error().code == Errc::corrupt));
  }
  Bytes longer = bytes;
  longer.push_back(std::byte{0});
  BOOST_TEST((decode_config(longer).error().code == Errc::corrupt));
}

BOOST_AUTO_TEST_CASE(a_configuration_that_cannot_be_is_refused_with_the_reason) {
  const auto why = [](const Config& config) { return check_config(config).error().context; };
  BOOST_TEST(why(of({})) == "no member may lead: there is no voter among them");
  BOOST_TEST(why(of({other(1, MemberRole::witness)})) ==
             "no member may lead: there is no voter among them");
  BOOST_TEST(why(of({voter(2), voter(2)})) == "member 2 does not follow member 2");
  Config config = of({voter(1), voter(2), voter(3)});
  config.commit_quorum = 4;
  BOOST_TEST(why(config) == "quorums of 2 and 4 of 3 voters");
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace qlab::consensus
