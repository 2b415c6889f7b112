#pragma once
// One replica as plain values: what it holds, what its disk holds, and what is on the way there.
//
// A log is always whole, from its first entry on: an image is a prefix of what the group has
// committed, and is put in its place.

#include <deque>
#include <map>
#include <vector>

#include "consensus/module.h"

namespace qlab::consensus::model {

using Log = std::vector<Entry>;  // log[i] has index i + 1.

// Of entry `index`; {0, 0} before the first, and of what is not there an id that no entry has.
LogId id_at(const Log& log, LogIndex index);
bool has(const Log& log, LogId id);
inline LogIndex last_index(const Log& log) {
  return LogIndex{static_cast<std::int64_t>(log.size())};
}
inline LogId last_id(const Log& log) {
  return id_at(log, last_index(log));
}
bool is_same_entry(const Entry& a, const Entry& b);

// Whether those that `agrees` says yes to are a quorum, in both halves of a joint configuration.
// `wanted`: of how many; 0: a majority, of weights in groups where members have them.
bool agree(const Config& config, std::uint32_t wanted, const std::function<bool(NodeId)>& agrees);
// The member of that id in the configuration, or in the outgoing half.
const Member* member_of(const Config& config, NodeId id);
bool counts_in(const Config& config, NodeId id);
// Whether the replica is a member: a wiped disk makes another replica.
bool is_member(const Config& config, ReplicaKey replica);

struct Write {
  WriteSeq seq;
  Log appended;
  std::optional<LogIndex> cut;
  std::optional<HardState> saved;
  std::optional<LogId> installed;
};

struct Replica {
  ReplicaKey self;
  HardState hard;
  Log log;
  LogIndex commit;
  std::map<LogIndex, Config> configs;  // In the log; at 0: as configured.

  HardState disk_hard;
  Log disk_log;
  std::deque<Write> writes;  // On their way, oldest first.

  const Config& config() const { return configs.rbegin()->second; }
  LogIndex config_at() const { return configs.rbegin()->first; }

  // Each asks for a write. Requires: it fits the log.
  void append(WriteSeq seq, const std::vector<Entry>& entries);
  void truncate(WriteSeq seq, LogIndex from);
  void save(WriteSeq seq, const HardState& state);
  void store(WriteSeq seq);
  void install(WriteSeq seq, LogId last, const Log& committed);

  void finish(WriteSeq up_to, const Log& committed);
  // What the disk has when all writes up to `after` are done.
  bool will_have(LogId id, WriteSeq after) const;
  HardState hard_state_after(WriteSeq after) const;
  bool is_durable(LogId id) const { return has(disk_log, id); }

  // Takes what was found on the disk. False: it is no prefix of the writes asked for.
  bool recover(const Recovery& recovery, const LogView& view, const Log& committed);

 private:
  void note_configs(LogIndex from);
};

// Puts a committed prefix in the log's place, unless the log has its end.
void cover(Log& log, LogId last, const Log& committed);

}  // namespace qlab::consensus::model
