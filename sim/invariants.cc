#include "sim/invariants.h"

#include <algorithm>
#include <set>

namespace qlab::sim {
namespace {

using consensus::Fate;
using consensus::LogId;

std::string words_of(const LogId& id) {
  return fmt::format("{}.{}", id.epoch, id.index);
}

std::string words_of(const ChainedEntry& entry) {
  return fmt::format("{}#{:x}", words_of(entry.id), entry.chain & 0xFFFF);
}

const CommittedEntry* committed_at(const History& history, LogIndex index) {
  const auto at = static_cast<std::size_t>(index.value());
  return at >= 1 && at <= history.committed.size() ? &history.committed[at - 1] : nullptr;
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
  std::map<LogId, std::uint64_t> chains;
  for (const Fresh::Appended& appended : history.fresh.appended) {
    const auto& [id, chain] = appended.entry;
    const auto known = history.chains.find(id);
    const std::uint64_t first =
        known != history.chains.end() ? known->second : chains.try_emplace(id, chain).first->second;
    if (first != chain) {
      return fmt::format("node {} has {}, and another log has {:x} there", appended.node,
                         words_of(appended.entry), first & 0xFFFF);
    }
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
  std::map<LogIndex, ChainedEntry> first;
  for (const Fresh::Applied& applied : history.fresh.applied) {
    const LogIndex index = applied.entry.id.index;
    const CommittedEntry* known = committed_at(history, index);
    const ChainedEntry& other =
        known != nullptr ? known->entry : first.try_emplace(index, applied.entry).first->second;
    if (!(other == applied.entry)) {
      return fmt::format("node {} applied {} and another node {}", applied.node,
                         words_of(applied.entry), words_of(other));
    }
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

Finding committed_entries_are_durable_on_a_majority(const History& history) {
  for (const Fresh::Applied& applied : history.fresh.applied) {
    if (committed_at(history, applied.entry.id.index) != nullptr) continue;
    const auto keep =
        std::count_if(history.voters.begin(), history.voters.end(), [&](NodeId voter) {
          const auto log = history.logs.find(voter);
          return log != history.logs.end() && log->second.keeps(applied.entry);
        });
    if (2 * static_cast<std::size_t>(keep) > history.voters.size()) continue;
    return fmt::format("node {} applied {}, which is durable on {} of {} voters", applied.node,
                       words_of(applied.entry), keep, history.voters.size());
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

Finding reads_see_what_was_acknowledged(const History& history) {
  for (const Fresh::Read& read : history.fresh.reads) {
    if (read.served_at >= read.acked_before) continue;
    return fmt::format("node {} served a read at {}, and {} had been acknowledged before it began",
                       read.node, read.served_at, read.acked_before);
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
      {"committed_entries_are_durable_on_a_majority", committed_entries_are_durable_on_a_majority},
      {"acknowledged_proposals_stay", acknowledged_proposals_stay},
      {"refused_proposals_never_happen", refused_proposals_never_happen},
      {"reads_see_what_was_acknowledged", reads_see_what_was_acknowledged},
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
    history.chains.emplace(appended.entry.id, appended.entry.chain);
  }
  for (const Fresh::Applied& applied : history.fresh.applied) {
    const LogIndex index = applied.entry.id.index;
    if (static_cast<std::size_t>(index.value()) != history.committed.size() + 1) continue;
    history.committed.push_back({applied.entry, applied.epoch, applied.value});
    if (applied.value) history.value_at.emplace(*applied.value, index);
  }
}

void learn_of_answers(History& history) {
  for (const Fresh::Answered& answered : history.fresh.answered) {
    for (std::uint64_t i = 0; i < answered.count; ++i) {
      history.fates[answered.first_value + i] = answered.result.fate;
    }
    if (answered.result.fate == Fate::committed) {
      history.acked = std::max(history.acked, answered.result.at.index);
    }
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
  if (auto finding = check_all(history)) return finding;
  learn_of_entries(history);
  history.fresh = std::move(answers);
  if (auto finding = check_all(history)) return finding;
  learn_of_answers(history);
  history.fresh = {};
  return std::nullopt;
}

}  // namespace qlab::sim
