#include "replication/groups/group_codec.h"

namespace qlab::replication {
namespace {

void put_uuid(BytesWriter& out, const Uuid& id) {
  out.put(id.high);
  out.put(id.low);
}
Uuid get_uuid(BytesReader& in) {
  Uuid id;
  id.high = in.get<std::uint64_t>();
  id.low = in.get<std::uint64_t>();
  return id;
}

}  // namespace

void put_group(BytesWriter& out, const GroupId& group) {
  put_uuid(out, group.topic);
  out.put(group.partition.value());
}

GroupId get_group(BytesReader& in) {
  GroupId group;
  group.topic = get_uuid(in);
  group.partition = PartitionIndex{in.get<std::int32_t>()};
  return group;
}

void put_hard_state(BytesWriter& out, const consensus::HardState& state) {
  out.put(state.epoch.value());
  out.put(state.synced_epoch.value());
  const consensus::ReplicaKey vote = state.vote.value_or(consensus::ReplicaKey{no_node, {}});
  out.put(static_cast<std::uint8_t>(state.vote.has_value()));
  out.put(vote.id.value());
  put_uuid(out, vote.directory);
  out.put(static_cast<std::uint8_t>(state.leader.has_value()));
  out.put(state.leader.value_or(no_node).value());
}

consensus::HardState get_hard_state(BytesReader& in) {
  consensus::HardState state;
  state.epoch = Epoch{in.get<std::int64_t>()};
  state.synced_epoch = Epoch{in.get<std::int64_t>()};
  const bool has_vote = in.get<std::uint8_t>() != 0;
  consensus::ReplicaKey vote;
  vote.id = NodeId{in.get<std::int32_t>()};
  vote.directory = get_uuid(in);
  if (has_vote) state.vote = vote;
  const bool has_leader = in.get<std::uint8_t>() != 0;
  const NodeId leader{in.get<std::int32_t>()};
  if (has_leader) state.leader = leader;
  return state;
}

void put_entry_head(BytesWriter& out, const consensus::Entry& entry) {
  out.put(entry.id.epoch.value());
  out.put(entry.id.index.value());
  out.put(static_cast<std::uint8_t>(entry.kind));
  out.put(static_cast<std::uint32_t>(entry.body->size()));
}

consensus::Entry get_entry(BytesReader& in) {
  consensus::Entry entry;
  entry.id.epoch = Epoch{in.get<std::int64_t>()};
  entry.id.index = LogIndex{in.get<std::int64_t>()};
  const auto kind = in.get<std::uint8_t>();
  if (kind > static_cast<std::uint8_t>(consensus::EntryKind::control)) {
    in.fail_with("an entry of an unknown kind");
  }
  entry.kind = static_cast<consensus::EntryKind>(kind);
  const ByteView body = in.get_bytes(in.get<std::uint32_t>());
  entry.body = std::make_shared<const Bytes>(body.begin(), body.end());
  return entry;
}

Bytes encode_delete(Offset before) {
  BytesWriter out;
  out.put<std::int64_t>(-1);
  out.put(before.value());
  return out.take();
}

std::optional<Offset> first_offset_of(const consensus::Entry& entry) {
  if (entry.kind != consensus::EntryKind::data) return std::nullopt;
  BytesReader in(*entry.body);
  const Offset first{in.get<std::int64_t>()};
  return in.ok() && first.value() >= 0 ? std::optional(first) : std::nullopt;
}

std::optional<Offset> deleted_before(const consensus::Entry& entry) {
  if (entry.kind != consensus::EntryKind::data) return std::nullopt;
  BytesReader in(*entry.body);
  if (in.get<std::int64_t>() != -1) return std::nullopt;
  const Offset before{in.get<std::int64_t>()};
  return in.ok() ? std::optional(before) : std::nullopt;
}

}  // namespace qlab::replication
