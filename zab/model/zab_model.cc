#include "zab/model/zab_model.h"

#include <algorithm>

#include "consensus/config.h"
#include "zab/model/zab_state.h"

namespace qlab::zab::model {

using consensus::EntryKind;
using consensus::Fate;
using consensus::model::has;
using consensus::model::id_at;
using consensus::model::is_same_entry;
using consensus::model::last_id;
using consensus::model::last_index;

std::optional<Refusal> ZabModel::recover(consensus::ReplicaKey self,
                                         const consensus::Recovery& recovery,
                                         const consensus::LogView& log) {
  if (refusal_) return std::nullopt;
  Node node;
  const auto before = nodes_.find(self.id);
  if (before != nodes_.end() && before->second.self == self) {
    static_cast<Replica&>(node) = std::move(before->second);
  }
  node.self = self;
  if (nodes_.empty()) configured_ = recovery.base;
  node.configs.try_emplace(LogIndex{0}, configured_);
  node_ = &(nodes_[self.id] = std::move(node));
  const bool possible = node_->recover(recovery, log, committed_);
  require(possible, recovers, "last={}.{} epoch={}", log.last().epoch, log.last().index,
          recovery.hard_state.epoch);
  node_->in_force = recovery.config;
  return refusal_;
}

std::optional<Refusal> ZabModel::step(NodeId id, const Input& input,
                                      const std::vector<Effect>& effects,
                                      const consensus::Status& status) {
  if (refusal_) return std::nullopt;
  node_ = &nodes_.at(id);
  heard_.reset();
  is_accepted_ = false;
  proposes_ = std::get_if<in::Propose>(&input);
  if (const auto* done = std::get_if<in::WriteDone>(&input)) node_->finish(done->up_to, committed_);
  if (const auto* receive = std::get_if<in::Receive>(&input)) take(*receive);
  const auto* read = std::get_if<in::Read>(&input);
  if (read != nullptr && serves()) {
    node_->lead->reads[read->request] = {group_commit(), node_->lead->round};
  }
  for (const Effect& effect : effects) {
    std::visit([this](const auto& alternative) { check(alternative); }, effect);
    if (refusal_) return refusal_;
  }
  check_status(status);
  return refusal_;
}

void ZabModel::check_status(const consensus::Status& status) {
  require(node_->is_active == serves(), deactivated, "role={}", status.role);
  const Config& config = node_->config();
  require(node_->in_force == config, in_force, "another, and that of {} is the last",
          node_->config_at());
  const bool is_over = config.outgoing.empty() && node_->config_at() <= node_->commit;
  require(!serves() || !is_over || consensus::model::counts_in(config, node_->self.id),
          leader_votes, "behind {}", node_->config_at());
  const bool same_role = (status.role == "leading") == node_->lead.has_value() &&
                         (status.role == "looking") == (!node_->lead && !node_->session);
  const bool follows = node_->session && node_->known == node_->session->leader;
  require(node_->known == status.leader && (!status.leader || serves() || follows), leader_known,
          "{} as {}", status.leader.value_or(no_node), status.role);
  require(same_role && status.epoch == node_->hard.epoch && status.commit == node_->commit &&
              status.last == last_id(node_->log),
          agrees, "role={} epoch={} commit={} last={}.{}", status.role, status.epoch, status.commit,
          status.last.epoch, status.last.index);
}

void ZabModel::check(const out::Append& effect) {
  LogId last = last_id(node_->log);
  for (const Entry& entry : effect.entries) {
    const bool follows = entry.id.index == last.index.next() && entry.id.epoch >= last.epoch &&
                         entry.id.epoch <= node_->hard.epoch;
    if (!require(follows, log_follows, "{}.{} after {}.{}", entry.id.epoch, entry.id.index,
                 last.epoch, last.index)) {
      return;
    }
    last = entry.id;
  }
  if (node_->lead) {
    check_propose(effect.entries);
  } else {
    check_accept(effect.entries);
  }
  if (!refusal_) node_->append(effect.seq, effect.entries);
}

void ZabModel::check_propose(const std::vector<Entry>& entries) {
  if (!require(serves(), broadcasts, "{} before that", entries.front().id.index)) return;
  const Leadership& lead = *node_->lead;
  for (const Entry& entry : entries) {
    require(entry.id.epoch == lead.epoch, own_epoch, "{}.{} in {}", entry.id.epoch, entry.id.index,
            lead.epoch);
    const auto counter = static_cast<std::uint64_t>(entry.id.index - lead.history.index);
    require(counter <= counter_max_, counter_full, "entry {} of {}", counter, counter_max_);
    if (entry.kind != EntryKind::config) continue;
    const auto config = consensus::decode_config(*entry.body);
    if (require(config.has_value(), both_halves, "no configuration")) check_change(*config);
  }
  if (proposes_ == nullptr) return;
  node_->proposed[proposes_->request] = {entries.front().id, entries.back().id};
}

// As it was received: behind the own log, whole, and each as it was sent.
void ZabModel::check_accept(const std::vector<Entry>& entries) {
  const auto* diff = heard<Diff>();
  const auto* proposal = heard<Proposal>();
  const auto* inform = heard<Inform>();
  const bool in_epoch = node_->session && node_->session->is_acknowledged;
  const Rule& rule = in_epoch ? accepts_proposals : takes_diff;
  const LogId first = entries.front().id;
  const auto accepts = [&](const auto* message, bool in_its_phase) {
    return message != nullptr && in_its_phase && message->previous == last_id(node_->log) &&
           std::equal(entries.begin(), entries.end(), message->entries.begin(),
                      message->entries.end(), is_same_entry);
  };
  require(accepts(diff, !in_epoch) || accepts(proposal, in_epoch) || accepts(inform, in_epoch),
          rule, "{}.{} and {} more", first.epoch, first.index, entries.size() - 1);
  const bool of_epoch = proposal == nullptr || first.epoch == node_->session->epoch;
  require(of_epoch, accepts_proposals, "{}.{}, of another epoch", first.epoch, first.index);
}

void ZabModel::check(const out::Truncate& effect) {
  require(effect.from > node_->commit, committed_stays, "from {} with commit {}", effect.from,
          node_->commit);
  const auto* trunc = heard<Trunc>();
  const bool asked =
      trunc != nullptr && !node_->session->is_acknowledged && epochs_.contains(heard_->epoch);
  if (!require(asked, cuts_excess, "from {} unasked", effect.from)) return;
  const Log& history = epochs_.at(heard_->epoch).history;
  const auto leader_has = [&](LogId id) { return id.epoch == heard_->epoch || has(history, id); };
  const LogId first = id_at(node_->log, effect.from);
  require(effect.from == trunc->to.index.next() && has(node_->log, trunc->to) &&
              has(node_->log, first) && leader_has(trunc->to) && !leader_has(first),
          cuts_excess, "from {}.{}", first.epoch, first.index);
  if (!refusal_) node_->truncate(effect.seq, effect.from);
}

void ZabModel::check(const out::StoreSnapshot& effect) {
  const auto* snap = heard<Snap>();
  const bool next = snap != nullptr && !node_->session->is_acknowledged &&
                    effect.meta == snap->image && effect.position == snap->position &&
                    (effect.position == 0 || effect.position == node_->session->stored) &&
                    *effect.bytes == snap->bytes;
  if (!require(next, image_whole, "a piece at {}", effect.position)) return;
  node_->session->stored = effect.position + effect.bytes->size();
  node_->store(effect.seq);
}

void ZabModel::check(const out::InstallSnapshot& effect) {
  const auto* snap = heard<Snap>();
  const LogId last = effect.meta.last;
  const bool whole = snap != nullptr && snap->image == effect.meta &&
                     node_->session->stored == effect.meta.size && last.index > node_->commit;
  require(whole, image_whole, "{}.{}", last.epoch, last.index);
  require(has(committed_, last), image_committed, "{}.{}", last.epoch, last.index);
  if (refusal_) return;
  node_->install(effect.seq, last, committed_);
  require(config_at(last.index) == effect.meta.config, in_force, "an image with another at {}",
          last.index);
}

void ZabModel::check(const out::Commit& effect) {
  require(effect.up_to > node_->commit && effect.up_to <= last_index(node_->log), commit_grows,
          "{} after {}", effect.up_to, node_->commit);
  if (refusal_) return;
  if (node_->lead) {
    check_lead_commit(effect.up_to);
  } else {
    check_learn_commit(effect.up_to);
  }
  if (!refusal_) commit(effect.up_to);
}

void ZabModel::check_lead_commit(LogIndex up_to) {
  const LogId id = id_at(node_->log, up_to);
  const Leadership& lead = *node_->lead;
  const bool whole = lead.is_established && up_to >= lead.history.index;
  if (!require(whole, commit_former, "{}.{} in {}", id.epoch, id.index, lead.epoch)) return;
  const bool stored = is_quorum([&](NodeId member) {
    if (member == node_->self.id) return node_->is_durable(id);
    return is_synced(member) && lead.learners.at(member).acked >= up_to;
  });
  require(stored, commit_quorum, "{}.{}", id.epoch, id.index);
}

void ZabModel::check_learn_commit(LogIndex up_to) {
  const auto& session = node_->session;
  if (!require(session && session->is_up_to_date, commit_serving, "{}", up_to)) return;
  const LogIndex allowed = std::min(session->told, group_commit());
  require(up_to <= allowed, commit_told, "{} with {} allowed", up_to, allowed);
}

// Total order and agreement, for whoever commits.
void ZabModel::commit(LogIndex up_to) {
  for (LogIndex index = node_->commit.next(); index <= up_to; index = index.next()) {
    const auto at = static_cast<std::size_t>(index.value() - 1);
    const Entry& entry = node_->log[at];
    if (index > group_commit()) {
      committed_.push_back(entry);
      continue;
    }
    require(is_same_entry(entry, committed_[at]), one_history, "{}.{} against {}.{}",
            entry.id.epoch, index, committed_[at].id.epoch, index);
  }
  node_->commit = up_to;
}

void ZabModel::check(const out::Outcome& effect) {
  if (effect.fate == Fate::committed && effect.at.index > LogIndex{0}) {
    require(has(committed_, effect.at), answered, "{}.{}", effect.at.epoch, effect.at.index);
  }
  const auto proposed = node_->proposed.find(effect.request);
  if (proposed == node_->proposed.end()) return;
  const LogId first = proposed->second.first;
  require(effect.fate != Fate::rejected && effect.fate != Fate::overloaded, answered,
          "{}.{} was appended", first.epoch, first.index);
  if (effect.fate != Fate::superseded) return;
  require(first.index <= group_commit() && !has(committed_, first), answered,
          "{}.{}, and nothing is in its place", first.epoch, first.index);
}

void ZabModel::check(const out::ReadReady& effect) {
  const Leadership::Read* read = nullptr;
  if (serves()) {
    const auto at = node_->lead->reads.find(effect.request);
    if (at != node_->lead->reads.end()) read = &at->second;
  }
  if (!require(read != nullptr, read_confirmed, "by who leads no longer")) return;
  require(effect.wait_applied >= read->committed, read_fresh, "{} with {} committed",
          effect.wait_applied, read->committed);
  const bool confirmed = is_quorum([&](NodeId id) {
    return id == node_->self.id ||
           (is_synced(id) && node_->lead->learners.at(id).round > read->round);
  });
  require(confirmed, read_confirmed, "round {}", read->round);
}

std::shared_ptr<consensus::model::Model> make_zab_model(std::uint64_t counter_max) {
  return std::make_shared<ZabModel>(counter_max);
}

}  // namespace qlab::zab::model
