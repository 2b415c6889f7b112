// Partitions' states: new, online, offline, gone; and who leads them.
//
// Source: Kafka 3.9, ZkPartitionStateMachine and Election.

#include <algorithm>

#include "common/check.h"
#include "common/logging.h"
#include "controller/config_rules.h"
#include "controller/zk/reign.h"

namespace qlab::controller {

using wire::keeper::ErrorCode;
using znodes::StateValue;

Task<Result<void>> Reign::start_partitions() {
  context_.for_each([&](PartitionRef ref) {
    ZkPartition& partition = ref.get();
    if (!partition.has_state()) {
      partition.state = PartitionState::new_partition;
    } else {
      // Who comes back may have lost records that others have, and would write others at their
      // offsets: it leads again in an epoch of its own only.
      const bool leads = context_.is_live(partition.leader) && !partition.leader_came_back;
      partition.state = leads ? PartitionState::online : PartitionState::offline;
    }
    ref.topic->is_settled = true;
  });
  co_return co_await elect_offline_and_new();
}

Task<Result<void>> Reign::elect_offline_and_new() {
  Partitions partitions;
  context_.for_each([&](PartitionRef ref) {
    const PartitionState state = ref.get().state;
    const bool waits = state == PartitionState::offline || state == PartitionState::new_partition;
    if (waits && !ref.topic->to_be_deleted) partitions.push_back(ref);
  });
  co_return co_await to_online(std::move(partitions), Election::offline);
}

void Reign::to_new(const Partitions& partitions) {
  for (const PartitionRef ref : partitions) {
    CHECK(ref.get().state == PartitionState::non_existent);
    ref.get().state = PartitionState::new_partition;
  }
}

void Reign::to_offline(const Partitions& partitions) {
  for (const PartitionRef ref : partitions) ref.get().state = PartitionState::offline;
}

// Those that nobody can lead stay as they are.
Task<Result<void>> Reign::to_online(Partitions partitions, Election how) {
  Partitions fresh;
  Partitions others;
  for (const PartitionRef ref : partitions) {
    CHECK(ref.get().state != PartitionState::non_existent);
    const bool is_new = ref.get().state == PartitionState::new_partition;
    (is_new ? fresh : others).push_back(ref);
  }
  CO_TRY_VOID(co_await create_states(std::move(fresh)));
  CO_TRY_VOID(co_await elect(std::move(others), how));
  send_batch();
  co_return Result<void>{};
}

namespace {

// The first who is there leads, and who is there is in sync: nobody has any records yet.
StateValue first_state(const std::vector<NodeId>& replicas, const Eligible& eligible,
                       std::int32_t controller_epoch) {
  StateValue state;
  state.controller_epoch = controller_epoch;
  for (const NodeId node : replicas) {
    if (eligible(node)) state.isr.push_back(node);
  }
  if (!state.isr.empty()) state.leader = state.isr.front();
  return state;
}

}  // namespace

// As the first act of a partition: its znodes, in three rounds (parents first).
Task<Result<void>> Reign::create_states(Partitions partitions) {
  std::vector<StateValue> states;
  std::erase_if(partitions, [&](PartitionRef ref) {
    StateValue state = first_state(context_.replicas(ref.get()), eligible(), office_.epoch);
    if (state.isr.empty()) return true;
    states.push_back(std::move(state));
    return false;
  });
  if (partitions.empty()) co_return Result<void>{};
  std::vector<ZkTopic*> topics;
  for (const PartitionRef ref : partitions) {
    if (topics.empty() || topics.back() != ref.topic) topics.push_back(ref.topic);
  }
  const Session::Take ignore = [](std::size_t, const ClientReply& reply) -> Result<void> {
    TRY_VOID(decode_fenced(reply));  // It may be there from an earlier attempt.
    return {};
  };
  const Session::Make make_parent = [&](std::size_t i) {
    return fence(create_request(znodes::partitions(topics[i]->name), ""));
  };
  CO_TRY_VOID(co_await session_->call_all(topics.size(), make_parent, ignore));
  const Session::Make make_partition = [&](std::size_t i) {
    const PartitionRef ref = partitions[i];
    return fence(create_request(znodes::partition(ref.topic->name, ref.index), ""));
  };
  CO_TRY_VOID(co_await session_->call_all(partitions.size(), make_partition, ignore));

  Batch batch = trace_decided(partitions, states);
  Partitions found;  // Their states are there: an answer was lost.
  Partitions created;
  const Session::Make make_state = [&](std::size_t i) {
    const PartitionRef ref = partitions[i];
    const std::string value = znodes::state_value(states[i]);
    batch.bytes += static_cast<std::int64_t>(value.size());
    return fence(create_request(znodes::state(ref.topic->name, ref.index), value));
  };
  const Session::Take take = [&](std::size_t i, const ClientReply& reply) -> Result<void> {
    TRY(const FencedReply made, decode_fenced(reply));
    if (made.error == ErrorCode::node_exists) {
      found.push_back(partitions[i]);
    } else if (made.error == ErrorCode::ok) {
      context_.note_state(partitions[i], states[i], 0);
      created.push_back(partitions[i]);
    } else {
      log(LogLevel::warn, "controller", "partition {}-{} has no state: {}",
          partitions[i].topic->name, partitions[i].index, wire::keeper::name_of(made.error));
    }
    return {};
  };
  CO_TRY_VOID(co_await session_->call_all(partitions.size(), make_state, take));
  trace_committed(batch, created);
  CO_TRY_VOID(co_await read_states(found));
  created.insert(created.end(), found.begin(), found.end());
  for (const PartitionRef ref : created) {
    if (!ref.get().has_state()) continue;
    ref.get().state = PartitionState::online;
    for (const NodeId node : context_.replicas(ref.get())) {
      if (context_.is_live(node)) batch_.add_leader_and_isr(node, ref, true);
    }
  }
  co_return Result<void>{};
}

std::optional<Partition> Reign::elected(const Partition& before, Election how, bool unclean) const {
  ElectionRules rules;
  rules.eligible = eligible();
  rules.unclean = unclean || how == Election::unclean;
  if (how == Election::preferred) return with_preferred_leader(before, rules);
  Partition after = before;
  after.leader = no_node;  // Whoever comes first in the order of the replicas.
  after.last_known_leader = no_node;
  after = with_leader(std::move(after), rules);
  if (after.leader == no_node) return std::nullopt;
  std::erase_if(after.isr, [&](NodeId node) { return !rules.eligible(node); });
  return after;
}

// Topics of which a partition has nobody in sync and that may be elected uncleanly. Kafka asks for
// configs at this moment only, too.
Task<Result<std::set<std::string>>> Reign::unclean_topics(Partitions partitions) {
  std::set<std::string> stuck;
  for (const PartitionRef ref : partitions) {
    const std::vector<NodeId>& isr = context_.isr(ref.get());
    if (std::none_of(isr.begin(), isr.end(), eligible())) stuck.insert(ref.topic->name);
  }
  const std::vector<std::string> names(stuck.begin(), stuck.end());
  std::set<std::string> allowed;
  if (names.empty()) co_return allowed;
  // What all brokers were told counts where a topic says nothing.
  metadata::Configs common;
  std::string common_path = fmt::format("/config/brokers/{}", znodes::default_entity);
  CO_TRY(const auto found, co_await session_->get(common_path, false));
  if (found) {
    CO_TRY(common, znodes::decode_config(common_path, found->data));
  }
  const Session::Make make = [&](std::size_t i) {
    return get_request(znodes::topic_config(names[i]));
  };
  const Session::Take take = [&](std::size_t i, const ClientReply& reply) -> Result<void> {
    metadata::Configs own;
    if (reply.error == ErrorCode::ok) {
      TRY(const Znode znode, decode_znode(reply));
      TRY(own, znodes::decode_config(znodes::topic_config(names[i]), znode.data));
    }
    own.merge(metadata::Configs(common));
    const auto said = own.find(std::string(unclean_key));
    const bool unclean =
        said == own.end() ? options_.controller.unclean_leader_election : said->second == "true";
    if (unclean) allowed.insert(names[i]);
    return {};
  };
  CO_TRY_VOID(co_await session_->call_all(names.size(), make, take));
  co_return allowed;
}

void Reign::tell_replicas(PartitionRef ref) {
  for (const NodeId node : context_.replicas(ref.get())) {
    if (context_.is_live(node)) batch_.add_leader_and_isr(node, ref, false);
  }
}

Task<Result<void>> Reign::elect(Partitions partitions, Election how) {
  for (bool is_again = false; !partitions.empty(); is_again = true) {
    CO_TRY_VOID(co_await read_states(partitions));
    std::set<std::string> unclean;
    if (how == Election::offline) {
      CO_TRY(unclean, co_await unclean_topics(partitions));
    }
    Partitions chosen;
    std::vector<StateValue> states;
    for (const PartitionRef ref : partitions) {
      const Partition before = context_.partition_of(ref);
      const auto after = elected(before, how, unclean.contains(ref.topic->name));
      // What another write left may be as it should be, or be our own whose answer was lost.
      if (!after && is_again) tell_replicas(ref);
      if (!after) continue;
      chosen.push_back(ref);
      states.push_back({after->leader, before.leader_epoch.next(), office_.epoch, after->isr,
                        after->recovering});
    }
    Partitions written;
    Partitions outdated;
    CO_TRY_VOID(co_await write_states(chosen, std::move(states), written, outdated));
    for (const PartitionRef ref : written) {
      ref.get().state = PartitionState::online;
      tell_replicas(ref);
    }
    partitions = std::move(outdated);
  }
  co_return Result<void>{};
}

// Each by compare and swap of its znode; `outdated` are those that another write came before. Where
// `check` fails, nothing is written: Errors also: fenced.
Task<Result<void>> Reign::write_states(const Partitions& partitions, std::vector<StateValue> states,
                                       Partitions& written, Partitions& outdated,
                                       std::optional<KeeperRequest> check) {
  if (partitions.empty()) co_return Result<void>{};
  Batch batch = trace_decided(partitions, states);
  const Session::Make make = [&](std::size_t i) {
    const PartitionRef ref = partitions[i];
    const std::string value = znodes::state_value(states[i]);
    batch.bytes += static_cast<std::int64_t>(value.size());
    return fence(set_request(znodes::state(ref.topic->name, ref.index), value, ref.get().version),
                 check);
  };
  Partitions now;
  const Session::Take take = [&](std::size_t i, const ClientReply& reply) -> Result<void> {
    TRY(const FencedReply done, decode_fenced(reply));
    if (done.error == ErrorCode::ok) {
      context_.note_state(partitions[i], states[i], done.version);
      now.push_back(partitions[i]);
    } else if (done.error == ErrorCode::bad_version) {
      outdated.push_back(partitions[i]);
    } else {
      log(LogLevel::warn, "controller", "partition {}-{} keeps its state: {}",
          partitions[i].topic->name, partitions[i].index, wire::keeper::name_of(done.error));
    }
    return {};
  };
  const auto done = co_await session_->call_all(partitions.size(), make, take);
  trace_committed(batch, now);
  written.insert(written.end(), now.begin(), now.end());
  co_return done;
}

}  // namespace qlab::controller
