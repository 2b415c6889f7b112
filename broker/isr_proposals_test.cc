// Proposals of ISRs share requests.

#include "broker/isr_proposals.h"

#include <numeric>

#include <boost/test/unit_test.hpp>

#include "runtime/simulated/run.h"

namespace qlab::broker {
namespace {

using replication::IsrAnswer;
using replication::IsrProposal;
using runtime::Runtime;
using runtime::Task;

constexpr TopicId topic{1, 2};

IsrProposal proposal_of(std::int32_t partition) {
  IsrProposal proposal;
  proposal.topic_id = topic;
  proposal.partition = PartitionIndex{partition};
  proposal.isr = {NodeId{partition}};
  return proposal;
}

// Answers each request a second later: grants all but partition 3, or refuses the whole.
struct Controller {
  Runtime& runtime;
  std::vector<std::size_t> sizes = {};
  bool is_fenced = false;

  Task<Result<IsrProposals::Outcomes>> answer(std::vector<IsrProposal> proposals) {
    sizes.push_back(proposals.size());
    co_await runtime::sleep_for(runtime, std::chrono::seconds(1));
    if (is_fenced) co_return fail(Errc::fenced, "who are you?");
    IsrProposals::Outcomes outcomes;
    for (auto at = proposals.rbegin(); at != proposals.rend(); ++at) {
      controller::AlterationOutcome outcome;
      outcome.topic_id = at->topic_id;
      outcome.partition = at->partition;
      outcome.partition_epoch = 10 + at->partition.value();
      outcome.isr = at->isr;
      if (at->partition.value() == 3) outcome.error = wire::KafkaError::ineligible_replica;
      outcomes.push_back(std::move(outcome));
    }
    co_return outcomes;
  }
};

struct Asked {
  std::vector<Result<IsrAnswer>> answers;
  std::vector<std::size_t> sizes;
};

Task<void> ask_one(IsrProposals& proposals, std::int32_t partition, Result<IsrAnswer>& answer) {
  auto proposal = proposal_of(partition);
  answer = co_await proposals.propose(std::move(proposal));
}

Task<Asked> ask(Runtime& runtime, std::int32_t count, bool is_fenced) {
  Controller controller{runtime};
  controller.is_fenced = is_fenced;
  IsrProposals proposals(runtime, [&controller](std::vector<IsrProposal> all) {
    return controller.answer(std::move(all));
  });
  Asked asked;
  for (std::int32_t i = 0; i < count; ++i) asked.answers.push_back(fail(Errc::aborted, "unasked"));
  runtime::Gate gate(runtime);
  for (std::int32_t i = 0; i < count; ++i) {
    gate.start(
        [&, i] { return ask_one(proposals, i, asked.answers[static_cast<std::size_t>(i)]); });
  }
  co_await gate.close();
  co_await proposals.stop();
  asked.sizes = controller.sizes;
  co_return asked;
}

Asked asked(std::int32_t count, bool is_fenced = false) {
  runtime::SimulatedWorld world(1);
  Runtime& runtime = world.node(NodeId{1});
  return runtime::run(world, NodeId{1}, ask(runtime, count, is_fenced));
}

}  // namespace

BOOST_AUTO_TEST_SUITE(isr_proposals)

BOOST_AUTO_TEST_CASE(each_partition_gets_its_own_answer) {
  const Asked found = asked(5);
  BOOST_TEST(found.answers[2]->partition_epoch == 12);
  BOOST_TEST((found.answers[2]->isr == std::vector<NodeId>{NodeId{2}}));
  BOOST_TEST((found.answers[3].error().code == Errc::invalid));
  BOOST_TEST(found.answers[4]->partition_epoch == 14);
}

BOOST_AUTO_TEST_CASE(what_is_proposed_meanwhile_goes_together) {
  const Asked found = asked(2500);
  BOOST_TEST(found.sizes.size() <= 4u);
  BOOST_TEST(std::accumulate(found.sizes.begin(), found.sizes.end(), std::size_t{0}) == 2500u);
  for (const std::size_t size : found.sizes) {
    BOOST_TEST(size <= IsrProposals::proposals_per_request_max);
  }
}

BOOST_AUTO_TEST_CASE(a_refusal_of_the_broker_may_be_asked_again) {
  const Asked found = asked(2, true);
  for (const auto& answer : found.answers) BOOST_TEST((answer.error().code == Errc::overloaded));
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace qlab::broker
