// ISRs change by their leaders' word, and leaders go back to where they are preferred.
//
// Source: Kafka 3.9, KafkaController.processAlterPartition (KIP-497, KIP-841, KIP-903),
// checkAndTriggerAutoLeaderRebalance.

#include <algorithm>
#include <set>

#include "controller/reassignment.h"
#include "controller/zk/reign.h"

namespace qlab::controller {

using wire::KafkaError;
using znodes::StateValue;

namespace {

std::set<NodeId> set_of(const std::vector<NodeId>& nodes) {
  return {nodes.begin(), nodes.end()};
}

}  // namespace

KafkaError Reign::check_alteration(NodeId leader, const PartitionAlteration& wanted,
                                   const Partition& now) const {
  if (wanted.leader_epoch > now.leader_epoch || wanted.partition_epoch > now.partition_epoch) {
    return KafkaError::not_controller;  // It has heard of a later controller.
  }
  if (wanted.leader_epoch < now.leader_epoch || now.leader != leader) {
    return KafkaError::fenced_leader_epoch;
  }
  // Asked again after the answer was lost.
  const std::set<NodeId> isr = set_of(wanted.new_isr);
  if (isr == set_of(now.isr) && !now.recovering) return KafkaError::none;
  if (wanted.partition_epoch < now.partition_epoch) return KafkaError::invalid_update_version;
  const std::set<NodeId> replicas = set_of(now.replicas);
  const std::vector<BrokerEpoch>& epochs = wanted.isr_epochs;
  const bool fits = isr.size() == wanted.new_isr.size() && isr.contains(leader) &&
                    std::includes(replicas.begin(), replicas.end(), isr.begin(), isr.end()) &&
                    (epochs.empty() || epochs.size() == wanted.new_isr.size());
  if (!fits) return KafkaError::invalid_request;
  for (std::size_t m = 0; m < wanted.new_isr.size(); ++m) {
    const NodeId member = wanted.new_isr[m];
    if (!context_.is_eligible(member)) return KafkaError::ineligible_replica;
    const BrokerEpoch epoch = epochs.empty() ? BrokerEpoch{-1} : epochs[m];
    if (epoch != BrokerEpoch{-1} && epoch != context_.brokers.at(member).epoch) {
      return KafkaError::ineligible_replica;
    }
  }
  return KafkaError::none;
}

// A word of an earlier process may have waited here while the next one registered. Written then, it
// would hide from the next controller that this leader came back (take_over.cc). A check of
// versions alone does not tell two registrations from each other, as each begins with 0. So the
// znode is written once, as it is: whoever registers next has an older version until this
// controller, which no other can write beside, knows of it.
Task<Result<KeeperRequest>> Reign::pin(NodeId broker, BrokerEpoch epoch) {
  const std::string path = znodes::broker(broker);
  std::optional<std::int32_t> version = context_.brokers.at(broker).version;
  while (!version) {
    CO_TRY(const auto found, co_await session_->get(path, false));
    if (!found || BrokerEpoch{found->stat.czxid} != epoch) {
      co_return fail(Errc::fenced, "broker {} is registered anew, or no more", broker);
    }
    KeeperRequest same = fence(set_request(path, as_text(found->data), found->stat.version));
    CO_TRY(const ClientReply reply, co_await session_->call(std::move(same)));
    CO_TRY(const FencedReply done, decode_fenced(reply));
    // What was written may be the next one's, which is to be looked at, as is what came between.
    const bool is_ours = done.error == wire::keeper::ErrorCode::ok;
    if (is_ours && BrokerEpoch{done.czxid} == epoch) version = done.version;
  }
  context_.brokers.at(broker).version = version;
  co_return check_request(path, *version);
}

// What is there now, of those that are as they were asked for.
void Reign::tell_states(std::vector<AlterationOutcome>& outcomes) {
  for (AlterationOutcome& outcome : outcomes) {
    ZkTopic* const topic = context_.topic(outcome.topic_id);
    if (outcome.error != KafkaError::none || topic == nullptr) continue;
    const Partition now = context_.partition_of({topic, outcome.partition});
    outcome.leader = now.leader;
    outcome.leader_epoch = now.leader_epoch;
    outcome.partition_epoch = now.partition_epoch;
    outcome.isr = now.isr;
  }
}

Task<Result<std::vector<AlterationOutcome>>> Reign::alter_partition(AlterPartition request) {
  CO_TRY_VOID(known(request.broker, request.epoch));
  CO_TRY(KeeperRequest check, co_await pin(request.broker, request.epoch));
  std::vector<AlterationOutcome> outcomes;
  std::map<PartitionRef, std::size_t> places;  // In `outcomes`, of those that change.
  Partitions changing;
  std::vector<StateValue> states;
  for (const PartitionAlteration& wanted : request.partitions) {
    AlterationOutcome outcome;
    outcome.topic_id = wanted.topic_id;
    outcome.partition = wanted.partition;
    ZkTopic* const topic = context_.topic(wanted.topic_id);
    const auto index = static_cast<std::size_t>(wanted.partition.value());
    const PartitionRef ref{topic, wanted.partition};
    if (topic == nullptr) {
      outcome.error = KafkaError::unknown_topic_id;
    } else if (topic->to_be_deleted || index >= topic->partitions.size() ||
               !ref.get().has_state()) {
      outcome.error = KafkaError::unknown_topic_or_partition;
    } else {
      const Partition now = context_.partition_of(ref);
      outcome.error = check_alteration(request.broker, wanted, now);
      if (outcome.error == KafkaError::none && places.contains(ref)) {
        outcome.error = KafkaError::invalid_update_version;
      }
      const bool changes = set_of(wanted.new_isr) != set_of(now.isr) || now.recovering;
      if (outcome.error == KafkaError::none && changes) {
        places[ref] = outcomes.size();
        changing.push_back(ref);
        states.push_back({now.leader, now.leader_epoch, office_.epoch, wanted.new_isr, false});
      }
    }
    outcomes.push_back(std::move(outcome));
  }
  Partitions written;
  Partitions outdated;
  std::optional<KeeperRequest> registered(std::move(check));
  const auto done =
      co_await write_states(changing, std::move(states), written, outdated, std::move(registered));
  if (!done && done.error().code != Errc::fenced) co_return fail(done.error());
  // Another registration, or another write to this one: pin() finds out which.
  if (!done) context_.brokers.at(request.broker).version.reset();
  // What was not written is not known any more.
  CO_TRY_VOID(co_await read_states(outdated));
  for (const PartitionRef ref : changing) {
    outcomes[places[ref]].error = KafkaError::invalid_update_version;
  }
  for (const PartitionRef ref : outdated) {
    // It may be our own write whose answer was lost. If not, the leader cannot know what is there.
    const Partition now = context_.partition_of(ref);
    if (set_of(now.isr) == set_of(request.partitions[places[ref]].new_isr)) {
      written.push_back(ref);
    } else if (context_.is_live(now.leader)) {
      batch_.add_leader_and_isr(now.leader, ref, false);
    }
  }
  for (const PartitionRef ref : written) outcomes[places[ref]].error = KafkaError::none;
  tell_states(outcomes);
  if (!written.empty()) tell_all(written);
  send_batch();
  CO_TRY_VOID(co_await finish_moves(written));
  if (!done) co_return fail(done.error());
  co_return outcomes;
}

// Kafka counts per broker: of the partitions that prefer it, how many another leads.
Task<Result<void>> Reign::rebalance() {
  struct Count {
    std::int64_t all = 0;
    Partitions strays;
  };
  std::map<NodeId, Count> counts;
  context_.for_each([&](PartitionRef ref) {
    const ZkPartition& partition = ref.get();
    if (ref.topic->to_be_deleted || !partition.has_state()) return;
    const NodeId preferred = context_.replicas(partition).front();
    Count& count = counts[preferred];
    ++count.all;
    if (partition.leader != preferred) count.strays.push_back(ref);
  });
  Partitions partitions;
  for (const auto& [broker, count] : counts) {
    const auto strays = static_cast<std::int64_t>(count.strays.size());
    const bool is_over = strays * 100 > count.all * options_.controller.imbalance_percentage;
    if (!is_over || !context_.is_eligible(broker)) continue;
    for (const PartitionRef ref : count.strays) {
      if (!ref.topic->moves.contains(ref.index)) partitions.push_back(ref);
    }
  }
  co_return co_await to_online(std::move(partitions), Election::preferred);
}

}  // namespace qlab::controller
