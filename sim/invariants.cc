#include "sim/invariants.h"

#include <algorithm>

#include "consensus/quorum.h"

namespace qlab::sim {
namespace {

using consensus::Fate;
using consensus::LogId;

std::string words_of(const LogId& id) {
  return fmt::format("{}.{}", id.epoch, id.index);
}

std::string words_of(const ChainedEntry& entry) {
  return fmt::format("{}#{:04x}:{:04x}", words_of(entry.id), entry.chain & 0xFFFF,
                     entry.body >> 32 & 0xFFFF);
}

const CommittedEntry* committed_at(const History& history, LogIndex index) {
  const auto at = static_cast<std::size_t>(index.value());
  return at >= 1 && at <= history.committed.size() ? &history.committed[at - 1] : nullptr;
}

const ChainedEntry* known_entry(const History& history, const LogId& id) {
  const auto epoch = history.entries.find(id.epoch);
  if (epoch == history.entries.end()) return nullptr;
  const auto entry = epoch->second.find(id.index.value());
  return entry == epoch->second.end() ? nullptr : &entry->second;
}

bool is_refusal(Fate fate) {
  return fate == Fate::rejected || fate == Fate::superseded || fate == Fate::overloaded;
}

}  // namespace

Finding one_leader_per_epoch(const History& history) {
  std::map<Epoch, NodeId> leaders;
  for (const Fresh::Led& led : history.fresh.led) {
    const auto known = history.leaders.find(led.epoch);
    const NodeId first = known != history.leaders.end()
                             ? known->second
                             : leaders.try_emplace(led.epoch, led.node).first->second;
    if (first != led.node) {
      return fmt::format("nodes {} and {} lead epoch {}", first, led.node, led.epoch);
    }
  }
  return std::nullopt;
}

Finding logs_match(const History& history) {
  std::map<LogId, ChainedEntry> fresh;
  for (const Fresh::Appended& appended : history.fresh.appended) {
    const LogId id = appended.entry.id;
    const ChainedEntry* known = known_entry(history, id);
    if (known == nullptr) known = &fresh.try_emplace(id, appended.entry).first->second;
    if (known->matches(appended.entry)) continue;
    return fmt::format("node {} has {}, and another log has {} there", appended.node,
                       words_of(appended.entry), words_of(*known));
  }
  return std::nullopt;
}

Finding leaders_have_all_committed_entries(const History& history) {
  for (const Fresh::Led& led : history.fresh.led) {
    const auto last = std::find_if(history.committed.rbegin(), history.committed.rend(),
                                   [&](const CommittedEntry& c) { return c.known_in < led.epoch; });
    if (last == history.committed.rend()) continue;
    if (!history.logs.at(led.node).sees(last->entry)) {
      return fmt::format("node {} leads epoch {} without {}, committed in {} or before", led.node,
                         led.epoch, words_of(last->entry), last->known_in);
    }
  }
  return std::nullopt;
}

Finding state_machines_agree(const History& history) {
  std::map<LogIndex, const Fresh::Applied*> first;
  for (const Fresh::Applied& applied : history.fresh.applied) {
    const LogIndex index = applied.entry.id.index;
    const CommittedEntry* known = committed_at(history, index);
    const Fresh::Applied* other = first.try_emplace(index, &applied).first->second;
    const ChainedEntry& entry = known != nullptr ? known->entry : other->entry;
    const std::uint64_t state = known != nullptr ? known->state : other->state;
    if (entry.matches(applied.entry) && state == applied.state) continue;
    return fmt::format("node {} applied {} for state {:x}, and another node {} for {:x}",
                       applied.node, words_of(applied.entry), applied.state, words_of(entry),
                       state);
  }
  return std::nullopt;
}

Finding commit_only_grows(const History& history) {
  for (const Fresh::Committed& committed : history.fresh.committed) {
    if (committed.index > committed.before) continue;
    return fmt::format("node {} committed up to {} and then up to {}", committed.node,
                       committed.before, committed.index);
  }
  return std::nullopt;
}

Finding committed_entries_are_durable_on_a_quorum(const History& history) {
  for (const Fresh::Applied& applied : history.fresh.applied) {
    const LogIndex index = applied.entry.id.index;
    if (committed_at(history, index) != nullptr) continue;
    const auto claim = history.claims.lower_bound(index);
    if (claim == history.claims.end()) {
      return fmt::format("node {} applied {}, which nobody committed", applied.node,
                         words_of(applied.entry));
    }
    const auto keeps = [&](NodeId id) {
      const consensus::Member* member = consensus::find_member(claim->second.config, id);
      const ReplicaLog* log = history.log_of(*member);
      return log != nullptr && log->keeps(applied.entry);
    };
    if (consensus::is_quorum(claim->second.config, consensus::QuorumUse::commit, keeps)) continue;
    std::string who;
    for (const NodeId id : consensus::voters_of(claim->second.config)) {
      who +=
          fmt::format("{}{}{}", who.empty() ? "" : ", ", id, keeps(id) ? " has it" : " lacks it");
    }
    return fmt::format("node {} applied {}, which node {} committed without a quorum: {}",
                       applied.node, words_of(applied.entry), claim->second.node, who);
  }
  return std::nullopt;
}

Finding primaries_begin_with_the_past_committed(const History& history) {
  for (const Fresh::Activated& active : history.fresh.activated) {
    const auto leader = history.leaders.find(active.epoch);
    if (leader == history.leaders.end() || leader->second != active.node) {
      return fmt::format("node {} is active in epoch {}, which it does not lead", active.node,
                         active.epoch);
    }
    if (active.commit < active.ready_at) {
      return fmt::format("node {} is active in epoch {} behind {}, and has committed up to {}",
                         active.node, active.epoch, active.ready_at, active.commit);
    }
  }
  return std::nullopt;
}

Finding acknowledged_proposals_stay(const History& history) {
  for (const Fresh::Answered& answered : history.fresh.answered) {
    if (answered.result.fate != Fate::committed) continue;
    const std::uint64_t last = answered.first_value + answered.count - 1;
    const CommittedEntry* entry = committed_at(history, answered.result.at.index);
    if (entry == nullptr || entry->entry.id != answered.result.at || entry->value != last) {
      return fmt::format("value {} was acknowledged at {}, and is not there", last,
                         words_of(answered.result.at));
    }
  }
  return std::nullopt;
}

Finding refused_proposals_never_happen(const History& history) {
  for (const Fresh::Applied& applied : history.fresh.applied) {
    if (!applied.value) continue;
    const auto fate = history.fates.find(*applied.value);
    if (fate != history.fates.end() && is_refusal(fate->second)) {
      return fmt::format("node {} applied value {}, which had been refused", applied.node,
                         *applied.value);
    }
  }
  for (const Fresh::Answered& answered : history.fresh.answered) {
    if (!is_refusal(answered.result.fate)) continue;
    const auto at = history.value_at.lower_bound(answered.first_value);
    if (at != history.value_at.end() && at->first < answered.first_value + answered.count) {
      return fmt::format("value {} was refused, and stands at {}", at->first, at->second);
    }
  }
  return std::nullopt;
}

Finding operations_are_linearizable(const History& history) {
  for (const Fresh::Answered& answered : history.fresh.answered) {
    if (answered.result.fate != Fate::committed) continue;
    const auto count = static_cast<std::int64_t>(answered.count);
    if (answered.result.at.index.value() - count >= answered.done_before.value()) continue;
    return fmt::format("value {} stands at {}, and {} had been seen before it was proposed",
                       answered.first_value + answered.count - 1, words_of(answered.result.at),
                       answered.done_before);
  }
  for (const Fresh::Read& read : history.fresh.reads) {
    if (read.served_at < read.done_before) {
      return fmt::format("node {} served a read at {}, and {} had been seen before it began",
                         read.node, read.served_at, read.done_before);
    }
    const CommittedEntry* entry = committed_at(history, read.served_at);
    if (read.state != (entry == nullptr ? 0 : entry->state)) {
      return fmt::format("node {} served a read of a state that is not that at {}", read.node,
                         read.served_at);
    }
  }
  return std::nullopt;
}

Finding images_are_of_the_committed_state(const History& history) {
  for (const Fresh::Restored& restored : history.fresh.restored) {
    const CommittedEntry* entry = committed_at(history, restored.last.index);
    if (entry != nullptr && entry->entry.id == restored.last && entry->state == restored.state) {
      continue;
    }
    return fmt::format("node {} restored an image of {}, and it is of another state", restored.node,
                       words_of(restored.last));
  }
  return std::nullopt;
}

Finding crashes_leave_a_prefix_of_the_writes(const History& history) {
  for (const Fresh::Recovered& recovered : history.fresh.recovered) {
    if (!recovered.possible) {
      return fmt::format("node {} came up with what no crash may leave", recovered.node);
    }
  }
  return std::nullopt;
}

Finding replicas_come_up(const History& history) {
  if (history.fresh.refused.empty()) return std::nullopt;
  const Fresh::Refused& refused = history.fresh.refused.front();
  return fmt::format("node {}: {}", refused.node, refused.why);
}

std::span<const Invariant> invariants() {
  static constexpr Invariant all[] = {
      {"one_leader_per_epoch", one_leader_per_epoch},
      {"logs_match", logs_match},
      {"leaders_have_all_committed_entries", leaders_have_all_committed_entries},
      {"state_machines_agree", state_machines_agree},
      {"commit_only_grows", commit_only_grows},
      {"committed_entries_are_durable_on_a_quorum", committed_entries_are_durable_on_a_quorum},
      {"primaries_begin_with_the_past_committed", primaries_begin_with_the_past_committed},
      {"acknowledged_proposals_stay", acknowledged_proposals_stay},
      {"refused_proposals_never_happen", refused_proposals_never_happen},
      {"operations_are_linearizable", operations_are_linearizable},
      {"images_are_of_the_committed_state", images_are_of_the_committed_state},
      {"crashes_leave_a_prefix_of_the_writes", crashes_leave_a_prefix_of_the_writes},
      {"replicas_come_up", replicas_come_up},
  };
  return all;
}

namespace {

// In two halves: an entry that was applied and acknowledged in one step is known when the
// acknowledgement is judged.
void learn_of_entries(History& history) {
  for (const Fresh::Led& led : history.fresh.led) history.leaders.emplace(led.epoch, led.node);
  for (const auto& appended : history.fresh.appended) {
    const LogId id = appended.entry.id;
    const auto known = history.entries[id.epoch].try_emplace(id.index.value(), appended.entry);
    if (known.first->second.body == 0) known.first->second.body = appended.entry.body;
  }
  for (const Fresh::Applied& applied : history.fresh.applied) {
    const LogIndex index = applied.entry.id.index;
    if (static_cast<std::size_t>(index.value()) != history.committed.size() + 1) continue;
    history.committed.push_back({applied.entry, applied.epoch, applied.value, applied.state});
    if (applied.value) history.value_at.emplace(*applied.value, index);
  }
}

void learn_of_answers(History& history) {
  for (const Fresh::Answered& answered : history.fresh.answered) {
    for (std::uint64_t i = 0; i < answered.count; ++i) {
      history.fates[answered.first_value + i] = answered.result.fate;
    }
    if (answered.result.fate == Fate::committed) {
      history.done = std::max(history.done, answered.result.at.index);
    }
  }
  for (const Fresh::Read& read : history.fresh.reads) {
    history.done = std::max(history.done, read.served_at);
  }
  history.reads_served += history.fresh.reads.size();
}

Finding check_all(const History& history) {
  for (const Invariant& invariant : invariants()) {
    if (auto finding = invariant.check(history)) {
      return fmt::format("{}: {}", invariant.name, *finding);
    }
  }
  return std::nullopt;
}

}  // namespace

Finding judge(History& history) {
  if (history.fresh.empty()) return std::nullopt;
  Fresh answers;
  answers.answered = std::exchange(history.fresh.answered, {});
  answers.reads = std::exchange(history.fresh.reads, {});
  answers.restored = std::exchange(history.fresh.restored, {});
  answers.activated = std::exchange(history.fresh.activated, {});
  if (auto finding = check_all(history)) return finding;
  learn_of_entries(history);
  history.fresh = std::move(answers);
  if (auto finding = check_all(history)) return finding;
  learn_of_answers(history);
  history.fresh = {};
  return std::nullopt;
}

}  // namespace qlab::sim
