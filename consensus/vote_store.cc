#include "consensus/vote_store.h"

#include "common/crc32c.h"

namespace qlab::consensus {
namespace {

constexpr std::uint64_t magic = 0x514C4142564F5432;  // "QLABVOT2"

void put(BytesWriter& out, const ReplicaKey& key) {
  out.put(key.id.value());
  out.put(key.directory.high);
  out.put(key.directory.low);
}

ReplicaKey get_key(BytesReader& in) {
  ReplicaKey key;
  key.id = NodeId{in.get<std::int32_t>()};
  key.directory.high = in.get<std::uint64_t>();
  key.directory.low = in.get<std::uint64_t>();
  return key;
}

Bytes to_record(const ReplicaKey& owner, const HardState& state, LogId log_end) {
  BytesWriter out;
  out.put(magic);
  put(out, owner);
  out.put(state.epoch.value());
  out.put(state.synced_epoch.value());
  out.put<std::uint8_t>(state.vote ? 1 : 0);
  put(out, state.vote.value_or(ReplicaKey{no_node, {}}));
  out.put<std::uint8_t>(state.leader ? 1 : 0);
  out.put(state.leader.value_or(no_node).value());
  out.put(log_end.epoch.value());
  out.put(log_end.index.value());
  out.put(crc32c(out.view()));
  return out.take();
}

struct Record {
  ReplicaKey owner;
  HardState state;
  LogId log_end;
};

Result<Record> from_record(ByteView bytes) {
  BytesReader in(bytes);
  Record record;
  if (in.get<std::uint64_t>() != magic) in.fail_with("it does not begin as a vote does");
  record.owner = get_key(in);
  record.state.epoch = Epoch{in.get<std::int64_t>()};
  record.state.synced_epoch = Epoch{in.get<std::int64_t>()};
  const bool voted = in.get<std::uint8_t>() != 0;
  const ReplicaKey vote = get_key(in);
  if (voted) record.state.vote = vote;
  const bool led = in.get<std::uint8_t>() != 0;
  const NodeId leader{in.get<std::int32_t>()};
  if (led) record.state.leader = leader;
  record.log_end.epoch = Epoch{in.get<std::int64_t>()};
  record.log_end.index = LogIndex{in.get<std::int64_t>()};
  const std::size_t covered = in.position();
  const auto crc = in.get<std::uint32_t>();
  if (in.ok() && crc != crc32c(bytes.first(covered))) in.fail_with("its checksum does not match");
  if (in.ok() && in.left() > 0) in.fail_with("bytes are left behind it");
  TRY_VOID(in.status());
  return record;
}

}  // namespace

Result<VoteStore> VoteStore::open(runtime::Disk* disk, std::string path, ReplicaKey owner) {
  VoteStore store(disk, std::move(path), owner);
  if (disk == nullptr) return store;
  const auto bytes = disk->read_file(store.path_);
  if (!bytes && bytes.error().code == Errc::not_found) return store;
  if (!bytes) return fail(bytes.error());
  const auto record = from_record(*bytes);
  if (!record) {
    return fail(Errc::corrupt, "the vote in {}: {}", store.path_, record.error().context);
  }
  if (record->owner != owner) {
    return fail(Errc::invalid,
                "the vote in {} is of node {} directory {}, not of node {} directory {}",
                store.path_, record->owner.id, record->owner.directory.to_string(), owner.id,
                owner.directory.to_string());
  }
  store.state_ = record->state;
  store.log_end_ = record->log_end;
  return store;
}

Result<void> VoteStore::save(const HardState& state, LogId log_end) {
  if (disk_ != nullptr) {
    TRY_VOID(disk_->write_file_atomically(path_, to_record(owner_, state, log_end)));
  }
  state_ = state;
  log_end_ = log_end;
  return {};
}

}  // namespace qlab::consensus
