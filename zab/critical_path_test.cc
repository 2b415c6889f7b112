// What one commit costs: the table in docs/zab.md.
#include <boost/test/unit_test.hpp>

#include "consensus/step_world.h"
#include "zab/zab.h"

namespace qlab::zab {
namespace {

using consensus::Effect;
using consensus::Input;
using consensus::StepWorld;

BOOST_AUTO_TEST_SUITE(zab_critical_path)

BOOST_AUTO_TEST_CASE(a_commit_of_three_costs_six_messages_and_a_write_on_each) {
  StepWorld::Options options;
  for (int i = 1; i <= 3; ++i) options.config.members.push_back({NodeId{i}});
  StepWorld world(make_zab, options);
  std::map<std::string, int> sent;
  int writes = 0;
  world.observe([&](NodeId, const Input&, const std::vector<Effect>& effects) {
    for (const Effect& effect : effects) {
      if (const auto* send = std::get_if<out::Send>(&effect)) {
        const std::string words = describe(*send->message);
        ++sent[words.substr(0, words.find(' '))];
      }
      writes += std::holds_alternative<out::Append>(effect) ? 1 : 0;
    }
  });
  for (int i = 1; i <= 3; ++i) world.add(NodeId{i});
  world.advance(std::chrono::seconds(1), true);
  BOOST_REQUIRE(world.settle());
  sent.clear();
  writes = 0;
  const auto body = std::make_shared<const Bytes>(1024);
  world.step(NodeId{3}, in::Propose{consensus::RequestId{1}, {body}, std::nullopt});
  BOOST_REQUIRE(world.settle());
  const std::map<std::string, int> wanted{{"proposal", 2}, {"ack", 2}, {"commit", 2}};
  BOOST_TEST((sent == wanted));
  BOOST_TEST(writes == 3);
  for (const auto& [id, node] : world.nodes()) BOOST_TEST((node.commit == LogIndex{1}));
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace qlab::zab
