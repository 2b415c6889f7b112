// Partitions move to other brokers: by request, and on as their ISRs grow.
//
// A state is written before the topic's znode: whoever comes after us never finds a leader or an
// ISR outside the replicas. Source: Kafka 3.9, KafkaController.onPartitionReassignment (KIP-455).

#include "controller/reassignment.h"

#include <algorithm>

#include "controller/zk/reign.h"

namespace qlab::controller {

using wire::KafkaError;
using wire::keeper::ErrorCode;
using znodes::StateValue;

namespace {

bool contains(const std::vector<NodeId>& nodes, NodeId node) {
  return std::find(nodes.begin(), nodes.end(), node) != nodes.end();
}

}  // namespace

// A replica that moves is never elected uncleanly.
ElectionRules Reign::move_rules() const {
  ElectionRules rules;
  rules.eligible = eligible();
  return rules;
}

bool Reign::is_as_written(const ZkPartition& partition, const StateValue& state) const {
  return partition.controller_epoch == state.controller_epoch &&
         partition.leader_epoch == state.leader_epoch && partition.leader == state.leader &&
         context_.isr(partition) == state.isr;
}

znodes::TopicValue Reign::value_of(const ZkTopic& topic) const {
  znodes::TopicValue value;
  value.id = topic.id;
  for (const ZkPartition& partition : topic.partitions) {
    value.replicas.push_back(context_.replicas(partition));
  }
  for (const auto& [index, move] : topic.moves) value.moves.push_back(move);
  return value;
}

// Errors also: invalid, when the znode is not as we know it.
Task<Result<void>> Reign::write_topics(
    std::vector<std::pair<ZkTopic*, znodes::TopicValue>> topics) {
  std::vector<std::size_t> doubtful;  // Another version is there.
  const Session::Make make = [&](std::size_t i) {
    return fence(set_request(znodes::topic(topics[i].first->name),
                             znodes::topic_value(topics[i].second), topics[i].first->version));
  };
  const Session::Take take = [&](std::size_t i, const ClientReply& reply) -> Result<void> {
    ZkTopic& topic = *topics[i].first;
    TRY(const FencedReply done, decode_fenced(reply));
    if (done.error == ErrorCode::bad_version) {
      doubtful.push_back(i);
      return {};
    }
    if (done.error != ErrorCode::ok) {
      return fail(Errc::invalid, "znode {} is not written: {}", znodes::topic(topic.name),
                  wire::keeper::name_of(done.error));
    }
    topic.version = done.version;
    return {};
  };
  CO_TRY_VOID(co_await session_->call_all(topics.size(), make, take));
  // It may be our own, of a request whose answer was lost.
  for (const std::size_t i : doubtful) {
    const auto& [topic, value] = topics[i];
    std::string path = znodes::topic(topic->name);
    CO_TRY(const auto found, co_await session_->get(path, false));
    if (!found || as_text(found->data) != znodes::topic_value(value)) {
      co_return fail(Errc::invalid, "znode {} is not written: another write came first", path);
    }
    topic->version = found->stat.version;
  }
  co_return Result<void>{};
}

Task<Result<Reign::Partitions>> Reign::move(std::vector<PartitionMove> moves) {
  Partitions partitions;
  std::vector<StateValue> states;
  std::map<PartitionRef, Partition> wanted;
  for (PartitionMove& move : moves) {
    partitions.push_back(move.partition);
    states.push_back({move.after.leader, move.partition.get().leader_epoch.next(), office_.epoch,
                      move.after.isr, move.after.recovering});
    wanted[move.partition] = std::move(move.after);
  }
  Partitions written;
  Partitions outdated;
  CO_TRY_VOID(co_await write_states(partitions, states, written, outdated));
  // It may be our own write whose answer was lost.
  CO_TRY_VOID(co_await read_states(outdated));
  for (std::size_t i = 0; i < partitions.size(); ++i) {
    const bool is_open =
        std::find(outdated.begin(), outdated.end(), partitions[i]) != outdated.end();
    if (is_open && is_as_written(partitions[i].get(), states[i])) written.push_back(partitions[i]);
  }

  std::map<std::uint32_t, std::pair<ZkTopic*, znodes::TopicValue>> topics;
  for (const PartitionRef ref : written) {
    const Partition& after = wanted[ref];
    auto [at, is_first] = topics.try_emplace(ref.topic->number);
    if (is_first) at->second = {ref.topic, value_of(*ref.topic)};
    znodes::TopicValue& value = at->second.second;
    value.replicas[static_cast<std::size_t>(ref.index.value())] = after.replicas;
    std::erase_if(value.moves, [&](const auto& move) { return move.partition == ref.index; });
    if (after.is_reassigning()) value.moves.push_back({ref.index, after.adding, after.removing});
  }
  std::vector<std::pair<ZkTopic*, znodes::TopicValue>> values;
  for (const auto& [number, topic] : topics) values.push_back(topic);
  CO_TRY_VOID(co_await write_topics(std::move(values)));
  for (const PartitionRef ref : written) note_move(ref, wanted[ref]);
  tell_all(written);
  send_batch();
  co_return written;
}

// Here and to the brokers: who is new, who stays, who goes.
void Reign::note_move(PartitionRef ref, const Partition& after) {
  const std::vector<NodeId> before = context_.replicas(ref.get());
  ref.topic->moves.erase(ref.index);
  if (after.is_reassigning()) {
    ref.topic->moves[ref.index] = {ref.index, after.adding, after.removing};
  }
  for (const NodeId node : before) {
    if (!contains(after.replicas, node)) batch_.add_stop_replica(node, ref, true);
  }
  context_.set_replicas(ref, after.replicas);
  for (const NodeId node : after.replicas) {
    const bool is_new = !contains(before, node);
    const bool is_live = context_.is_live(node);
    if (is_new) {
      context_.state_of({ref, node}) = is_live ? ReplicaState::online : ReplicaState::offline;
    }
    if (is_live) batch_.add_leader_and_isr(node, ref, is_new);
  }
  ref.get().state =
      context_.is_live(after.leader) ? PartitionState::online : PartitionState::offline;
}

// Completes the moves of which all that were added are in sync.
Task<Result<void>> Reign::finish_moves(Partitions partitions) {
  std::vector<PartitionMove> moves;
  for (const PartitionRef ref : partitions) {
    if (!ref.topic->moves.contains(ref.index) || ref.topic->to_be_deleted) continue;
    const Partition before = context_.partition_of(ref);
    Partition after = completed(before, move_rules());
    if (!(after == before)) moves.push_back({ref, std::move(after)});
  }
  if (moves.empty()) co_return Result<void>{};
  CO_TRY_VOID(co_await move(std::move(moves)));
  co_return Result<void>{};
}

Task<Result<void>> Reign::resume_moves() {
  Partitions moving;
  for (auto& [name, topic] : context_.topics()) {
    for (const auto& [index, move] : topic.moves) moving.push_back({&topic, index});
  }
  co_return co_await finish_moves(std::move(moving));
}

Task<Result<wire::AlterPartitionReassignmentsResponse>> Reign::reassign(
    wire::AlterPartitionReassignmentsRequest request) {
  wire::AlterPartitionReassignmentsResponse response;
  std::vector<PartitionMove> moves;
  std::set<PartitionRef> seen;
  for (const auto& topic : request.topics) {
    auto& answer = response.responses.emplace_back();
    answer.name = topic.name;
    for (const auto& wanted : topic.partitions) {
      auto& one = answer.partitions.emplace_back();
      one.partition_index = wanted.partition_index;
      const auto ref = find(topic.name, wanted.partition_index);
      Reassigned after = tl::unexpected(Refusal{KafkaError::unknown_topic_or_partition,
                                                "there is no such partition, or it is going"});
      if (ref && !seen.insert(*ref).second) {
        after =
            tl::unexpected(Refusal{KafkaError::invalid_request, "the partition is named twice"});
      } else if (ref) {
        const Partition before = context_.partition_of(*ref);
        // Who is added must be up; who has a replica already need not be.
        const Eligible known = [&](NodeId node) {
          const bool stays = contains(before.replicas, node) && !contains(before.adding, node);
          return stays || context_.is_live(node);
        };
        after = wanted.replicas ? reassigned(before, *wanted.replicas, known, move_rules())
                                : cancelled(before, move_rules());
      }
      if (after) {
        moves.push_back({*ref, std::move(*after)});
      } else {
        one.error_code = after.error().error;
        one.error_message = std::move(after.error().message);
      }
    }
  }
  const std::size_t count = moves.size();
  Partitions moved;
  if (count > 0) {
    CO_TRY(moved, co_await move(std::move(moves)));
  }
  // A state that another wrote at the same moment: whoever asked asks again.
  if (moved.size() < count) co_return fail(Errc::unknown_outcome, "a state changed on the way");
  co_return response;
}

wire::ListPartitionReassignmentsResponse Reign::list_moves(
    const wire::ListPartitionReassignmentsRequest& request) const {
  wire::ListPartitionReassignmentsResponse response;
  const auto add = [&](const ZkTopic& topic, const std::vector<PartitionIndex>* only) {
    wire::ListPartitionReassignmentsResponse::Topic answer;
    answer.name = topic.name;
    for (const auto& [index, move] : topic.moves) {
      if (only != nullptr && std::find(only->begin(), only->end(), index) == only->end()) continue;
      auto& one = answer.partitions.emplace_back();
      one.partition_index = index;
      one.replicas =
          context_.replicas(topic.partitions.at(static_cast<std::size_t>(index.value())));
      one.adding_replicas = move.adding;
      one.removing_replicas = move.removing;
    }
    if (!answer.partitions.empty()) response.topics.push_back(std::move(answer));
  };
  if (!request.topics) {
    for (const auto& [name, topic] : context_.topics()) add(topic, nullptr);
    return response;
  }
  for (const auto& wanted : *request.topics) {
    const auto topic = context_.topics().find(wanted.name);
    if (topic != context_.topics().end()) add(topic->second, &wanted.partition_indexes);
  }
  return response;
}

}  // namespace qlab::controller
