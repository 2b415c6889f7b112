#include "consensus/model/replica.h"

#include "consensus/config.h"

namespace qlab::consensus::model {

LogId id_at(const Log& log, LogIndex index) {
  if (index == LogIndex{0}) return {};
  if (index < LogIndex{0} || index > last_index(log)) return {Epoch{-1}, index};
  return log[static_cast<std::size_t>(index.value() - 1)].id;
}

bool has(const Log& log, LogId id) {
  return id_at(log, id.index) == id;
}

bool is_same_entry(const Entry& a, const Entry& b) {
  return a.id == b.id && a.kind == b.kind && (a.body == b.body || *a.body == *b.body);
}

namespace {

bool counts(const Member& member) {
  return member.role != MemberRole::observer;
}

// More than half of the weight in more than half of the groups (QuorumHierarchical); with one group
// and equal weights a majority.
bool agree_in(const std::vector<Member>& members, std::uint32_t wanted,
              const std::function<bool(NodeId)>& agrees) {
  std::map<std::uint32_t, std::pair<std::uint64_t, std::uint64_t>> groups;  // All, agreed.
  std::uint32_t agreed = 0;
  for (const Member& member : members) {
    if (!counts(member)) continue;
    const bool says_yes = agrees(member.id);
    agreed += says_yes ? 1 : 0;
    if (member.weight == 0) continue;
    auto& [all, yes] = groups[member.group];
    all += member.weight;
    yes += says_yes ? member.weight : 0;
  }
  if (wanted != 0) return agreed >= wanted;
  std::size_t groups_agreed = 0;
  for (const auto& [number, group] : groups) {
    groups_agreed += group.second * 2 > group.first ? 1 : 0;
  }
  return groups_agreed * 2 > groups.size();
}

}  // namespace

bool agree(const Config& config, std::uint32_t wanted, const std::function<bool(NodeId)>& agrees) {
  return agree_in(config.members, wanted, agrees) &&
         (config.outgoing.empty() || agree_in(config.outgoing, wanted, agrees));
}

const Member* member_of(const Config& config, NodeId id) {
  for (const auto* half : {&config.members, &config.outgoing}) {
    for (const Member& member : *half) {
      if (member.id == id) return &member;
    }
  }
  return nullptr;
}

bool counts_in(const Config& config, NodeId id) {
  for (const auto* half : {&config.members, &config.outgoing}) {
    for (const Member& member : *half) {
      if (member.id == id && counts(member)) return true;
    }
  }
  return false;
}

bool is_member(const Config& config, ReplicaKey replica) {
  const Member* member = member_of(config, replica.id);
  return member != nullptr &&
         (member->directory == DirectoryId{} || member->directory == replica.directory);
}

void cover(Log& log, LogId last, const Log& committed) {
  if (has(log, last)) return;
  log.assign(committed.begin(), committed.begin() + last.index.value());
}

void Replica::note_configs(LogIndex from) {
  configs.erase(configs.lower_bound(std::max(from, LogIndex{1})), configs.end());
  for (auto at = static_cast<std::size_t>(from.value() - 1); at < log.size(); ++at) {
    if (log[at].kind != EntryKind::config) continue;
    const auto config = decode_config(*log[at].body);
    if (config) configs[log[at].id.index] = *config;
  }
}

void Replica::append(WriteSeq seq, const std::vector<Entry>& entries) {
  const LogIndex next = last_index(log).next();
  log.insert(log.end(), entries.begin(), entries.end());
  note_configs(next);
  writes.push_back({seq, entries, {}, {}, {}});
}

void Replica::truncate(WriteSeq seq, LogIndex from) {
  log.resize(static_cast<std::size_t>(from.value() - 1));
  note_configs(from);
  writes.push_back({seq, {}, from, {}, {}});
}

void Replica::save(WriteSeq seq, const HardState& state) {
  hard = state;
  writes.push_back({seq, {}, {}, state, {}});
}

void Replica::store(WriteSeq seq) {
  writes.push_back({seq, {}, {}, {}, {}});
}

void Replica::install(WriteSeq seq, LogId last, const Log& committed) {
  cover(log, last, committed);
  note_configs(LogIndex{1});
  commit = std::max(commit, last.index);
  writes.push_back({seq, {}, {}, {}, last});
}

void Replica::finish(WriteSeq up_to, const Log& committed) {
  for (; !writes.empty() && writes.front().seq <= up_to; writes.pop_front()) {
    const Write& write = writes.front();
    disk_log.insert(disk_log.end(), write.appended.begin(), write.appended.end());
    if (write.cut) disk_log.resize(static_cast<std::size_t>(write.cut->value() - 1));
    if (write.saved) disk_hard = *write.saved;
    if (write.installed) cover(disk_log, *write.installed, committed);
  }
}

bool Replica::will_have(LogId id, WriteSeq after) const {
  bool there = has(disk_log, id);
  for (const Write& write : writes) {
    if (write.seq > after) break;
    if (write.cut && *write.cut <= id.index) there = id.index == LogIndex{0};
    if (write.installed && write.installed->index >= id.index) there = true;
    for (const Entry& entry : write.appended) {
      if (entry.id.index == id.index) there = entry.id == id;
    }
  }
  return there;
}

HardState Replica::hard_state_after(WriteSeq after) const {
  HardState state = disk_hard;
  for (const Write& write : writes) {
    if (write.seq <= after && write.saved) state = *write.saved;
  }
  return state;
}

// Whoever appends one entry after the other keeps the order on the disk too, so a crash leaves a
// prefix of the writes, and of the last one any number of entries: of those it adds the first, and
// of those it drops the last.
bool Replica::recover(const Recovery& recovery, const LogView& view, const Log& committed) {
  const LogId image = view.snapshot().last;
  if (!has(committed, image) || view.first() > last_index(committed).next()) return false;
  Log found(committed.begin(), committed.begin() + view.first().value() - 1);
  for (LogIndex next = view.first(); next <= view.last().index;) {
    for (Entry& entry : view.read(next, 1u << 20)) found.push_back(std::move(entry));
    next = last_index(found).next();
  }
  const auto fits = [&] {
    if (!(disk_hard == recovery.hard_state)) return false;
    const LogId end = has(disk_log, image) ? last_id(disk_log) : image;
    return last_id(found) == end;
  };
  bool possible = fits();
  while (!possible && !writes.empty()) {
    Write write = std::move(writes.front());
    writes.pop_front();
    for (const Entry& entry : std::exchange(write.appended, {})) {
      disk_log.push_back(entry);
      possible = possible || fits();
      if (possible) break;
    }
    while (!possible && write.cut && last_index(disk_log) > *write.cut) {
      disk_log.pop_back();
      possible = fits();
    }
    if (possible) break;
    writes.push_front(write);
    finish(write.seq, committed);
    possible = fits();
  }
  writes.clear();
  disk_hard = hard = recovery.hard_state;
  disk_log = found;
  log = std::move(found);
  commit = recovery.applied;
  note_configs(LogIndex{1});
  return possible;
}

}  // namespace qlab::consensus::model
