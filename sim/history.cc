#include "sim/history.h"

#include "consensus/quorum.h"

namespace qlab::sim {

using consensus::Member;
using consensus::ReplicaKey;

void History::in_force(NodeId node, const consensus::Config& config, const consensus::LogId& at) {
  configs[node] = config;
  configured_at[node] = at;
  for (const Member& member : config.members) {
    if (member.role != consensus::MemberRole::witness) continue;
    const bool is_named = member.directory != DirectoryId{};
    bare.insert(ReplicaKey{member.id, is_named ? member.directory : directories[member.id]});
  }
}

bool History::is_bare(NodeId node) const {
  const auto disk = directories.find(node);
  return disk != directories.end() && bare.contains(ReplicaKey{node, disk->second});
}

bool History::is_committed(const consensus::LogId& id) const {
  const auto at = static_cast<std::size_t>(id.index.value());
  return at == 0 || (at <= committed.size() && committed[at - 1].entry.id == id);
}

void History::wipe(NodeId node, DirectoryId disk) {
  wiped[ReplicaKey{node, directories[node]}] = std::exchange(logs[node], {});
  directories[node] = disk;
  // Where a witness is expected, leaders send no bodies to the new replica either.
  for (const auto& [holder, config] : configs) {
    const Member* member = consensus::find_member(config, node);
    if (member != nullptr && member->role == consensus::MemberRole::witness) {
      bare.insert(ReplicaKey{node, disk});
    }
  }
}

const ReplicaLog* History::log_of(const Member& member) const {
  const auto disk = directories.find(member.id);
  const bool has_it = member.directory == DirectoryId{} ||
                      (disk != directories.end() && disk->second == member.directory);
  if (has_it) {
    const auto log = logs.find(member.id);
    return log == logs.end() ? nullptr : &log->second;
  }
  const auto log = wiped.find(ReplicaKey{member.id, member.directory});
  return log == wiped.end() ? nullptr : &log->second;
}

}  // namespace qlab::sim
