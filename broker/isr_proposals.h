#pragma once
// What this broker's leaders ask of the controller about their ISRs, many partitions to a request.
//
// One request is on its way at a time, and all that are proposed meanwhile go with the next: a
// broker that comes back is taken into the ISRs of all that it follows, and a request for each of a
// hundred thousand would leave the controller no time for heartbeats.
//
// Thread: the home shard. Source: Kafka's AlterPartitionManager.

#include <deque>
#include <functional>
#include <memory>
#include <vector>

#include "controller/controller.h"
#include "replication/replicas.h"
#include "runtime/async.h"

namespace qlab::broker {

class IsrProposals {
 public:
  using Outcomes = std::vector<controller::AlterationOutcome>;
  // Makes the request of all of them.
  using Ask = std::function<runtime::Task<Result<Outcomes>>(
      std::vector<replication::IsrProposal> proposals)>;
  static constexpr std::size_t proposals_per_request_max = 1000;

  IsrProposals(runtime::Runtime& runtime, Ask ask)
      : runtime_(runtime), ask_(std::move(ask)), gate_(runtime) {}

  // Errors: as of replication::ProposeIsr; closed, after stop().
  runtime::Task<Result<replication::IsrAnswer>> propose(replication::IsrProposal proposal);
  // Requires: requests end, for the controller is closed. Returns when all have their answers.
  runtime::Task<void> stop() { co_await gate_.close(); }

 private:
  // Shared, because GCC 12 takes the value itself for freed in the frame of who waits.
  using Answer = std::shared_ptr<const Result<replication::IsrAnswer>>;
  using Promise = runtime::Completion<Answer>;
  struct Waiting {
    replication::IsrProposal proposal;
    Promise answer;
  };
  void put(replication::IsrProposal proposal, const Promise& answer);
  std::vector<Waiting> take();
  runtime::Task<void> ask_for_all();
  static void hand_out(std::vector<Waiting> asked, const Result<Outcomes>& outcomes);

  runtime::Runtime& runtime_;
  const Ask ask_;
  std::deque<Waiting> waiting_;  // At most one for each partition here.
  bool asking_ = false;
  runtime::Gate gate_;
};

}  // namespace qlab::broker
