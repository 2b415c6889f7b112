#include "broker/isr_proposals.h"

#include <map>

namespace qlab::broker {
namespace {

using replication::IsrAnswer;
using runtime::Task;
using wire::KafkaError;

// What a refused proposal of another ISR means to the partition that made it.
Errc isr_refusal(KafkaError error) {
  switch (error) {
    case KafkaError::ineligible_replica:
    case KafkaError::invalid_request:
      return Errc::invalid;  // Certainly not done; another proposal may be.
    case KafkaError::not_controller:
      return Errc::not_leader;  // The controller knows less than we do, for now.
    default:
      return Errc::fenced;  // Newer metadata is on its way to us.
  }
}

Result<IsrAnswer> answer_of(const controller::AlterationOutcome& outcome) {
  if (outcome.error != KafkaError::none) {
    return fail(isr_refusal(outcome.error), "the controller refused: {}", name_of(outcome.error));
  }
  return IsrAnswer{outcome.partition_epoch, outcome.isr};
}

std::shared_ptr<const Result<IsrAnswer>> make(Result<IsrAnswer> answer) {
  return std::make_shared<const Result<IsrAnswer>>(std::move(answer));
}

// Of the broker, not of the partition: it registers anew, and this may be asked again.
Error of_all(const Error& error) {
  const bool is_open = error.code != Errc::fenced && error.code != Errc::invalid;
  return is_open ? error : Error{Errc::overloaded, error.context};
}

}  // namespace

Task<Result<IsrAnswer>> IsrProposals::propose(replication::IsrProposal proposal) {
  if (gate_.is_closed()) co_return fail(Errc::closed, "this node is stopping");
  Promise promise(runtime_.executor());
  put(std::move(proposal), promise);
  const Answer answer = co_await promise.wait();
  co_return *answer;
}

void IsrProposals::put(replication::IsrProposal proposal, const Promise& answer) {
  waiting_.push_back({std::move(proposal), answer});
  if (std::exchange(asking_, true)) return;
  gate_.start([this] { return ask_for_all(); });
}

std::vector<IsrProposals::Waiting> IsrProposals::take() {
  std::vector<Waiting> taken;
  while (!waiting_.empty() && taken.size() < proposals_per_request_max) {
    taken.push_back(std::move(waiting_.front()));
    waiting_.pop_front();
  }
  return taken;
}

Task<void> IsrProposals::ask_for_all() {
  while (!waiting_.empty()) {
    std::vector<Waiting> asked = take();
    std::vector<replication::IsrProposal> proposals;
    for (const Waiting& one : asked) proposals.push_back(one.proposal);
    const auto outcomes = co_await ask_(std::move(proposals));
    hand_out(std::move(asked), outcomes);
  }
  asking_ = false;
}

void IsrProposals::hand_out(std::vector<Waiting> asked, const Result<Outcomes>& outcomes) {
  std::map<std::pair<TopicId, PartitionIndex>, const controller::AlterationOutcome*> found;
  if (outcomes) {
    for (const auto& outcome : *outcomes) found[{outcome.topic_id, outcome.partition}] = &outcome;
  }
  for (Waiting& one : asked) {
    const auto at = found.find({one.proposal.topic_id, one.proposal.partition});
    if (!outcomes) {
      one.answer.set(make(fail(of_all(outcomes.error()))));
    } else if (at == found.end()) {
      one.answer.set(make(fail(Errc::corrupt, "the controller's answer leaves out a partition")));
    } else {
      one.answer.set(make(answer_of(*at->second)));
    }
  }
}

}  // namespace qlab::broker
