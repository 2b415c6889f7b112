// Who votes, and how that changes: an entry that needs quorums of the old and the new
// configuration, then one that needs the new alone. With the second, COMMITANDACTIVATE names who
// leads on.
//
// Source: Shraer, Reed, Malkhi, Junqueira, "Dynamic Reconfiguration of Primary/Backup Clusters"
// (2012); ZooKeeper 3.5. There the second step is a file that each server writes; here it is in the
// log, so that a restart knows what is over.
#include "common/check.h"
#include "consensus/config.h"
#include "consensus/quorum.h"
#include "zab/zab.h"

namespace qlab::zab {

using consensus::Config;
using consensus::Entry;
using consensus::EntryKind;
using consensus::Fate;
using consensus::LogId;

// With weights and groups as ZooKeeper's QuorumHierarchical, of both halves while it changes.
bool Zab::is_quorum(const std::function<bool(NodeId)>& agrees) const {
  return consensus::is_quorum(configs_.in_force(), consensus::QuorumUse::commit, agrees);
}

// What ZAB cannot do with a configuration; empty: nothing.
std::string_view Zab::objection_to(const Config& target) const {
  // Two leaders of one epoch are excluded by quorums of acceptance that meet each other.
  if (target.election_quorum != 0 || target.commit_quorum != 0) return "zab_has_no_quorum_sizes";
  for (const consensus::Member& member : target.members) {
    if (member.role == consensus::MemberRole::witness) return "zab_has_no_witnesses";
  }
  return {};
}

void Zab::announce_config() {
  emit(out::ConfigActive{configs_.logged().config, configs_.logged().at});
}

void Zab::note_configs(const std::vector<Entry>& entries) {
  for (const Entry& entry : entries) {
    if (entry.kind != EntryKind::config) continue;
    auto config = consensus::decode_config(*entry.body);
    CHECK(config.has_value());  // It was checked when it came.
    configs_.append({entry.id, std::move(*config)});
    if (effects_ != nullptr) announce_config();
  }
}

void Zab::on(const in::SnapshotTaken&) {
  const consensus::SnapshotMeta& image = log_.snapshot();
  configs_.compact(image);
  // Who has not got what the image stands for begins anew, with the image.
  if (!leadership_) return;
  std::vector<NodeId> behind;
  for (const auto& [peer, learner] : leadership_->learners) {
    if (learner.stage >= Stage::diff && learner.next < log_.first()) behind.push_back(peer);
    if (learner.stage == Stage::snap && learner.image_is_gone) begin_snap(peer);
  }
  cut_learners(behind, "entries_are_gone");
}

void Zab::on(const in::Reconfigure& input) {
  if (!leadership_ || leadership_->phase != Phase::broadcast) {
    return answer(input.request, Fate::rejected);
  }
  if (leadership_->change) return answer(input.request, Fate::overloaded);
  std::string_view objection = objection_to(input.target);
  if (!input.target.outgoing.empty() || !consensus::check_config(input.target)) {
    objection = "not_a_configuration";
  }
  // ZooKeeper's NewConfigNoQuorum: joiners follow, as observers, before they are let in.
  const auto is_in = [this](NodeId id) { return is_synced(id); };
  if (objection.empty() &&
      !consensus::is_quorum(input.target, consensus::QuorumUse::commit, is_in)) {
    objection = "no_quorum_of_the_new_is_synced";
  }
  if (!objection.empty()) return answer(input.request, Fate::rejected, {}, objection);
  if (!has_room_for(2)) {
    answer(input.request, Fate::rejected);
    return look("zxid_rollover");
  }
  trace("ProposeReconfig");
  leadership_->change = Change{input.request, LogIndex{0}};
  Config joint = input.target;
  joint.outgoing = configs_.logged().config.members;
  propose_config(std::move(joint));
}

void Zab::propose_config(Config config) {
  auto body = std::make_shared<const Bytes>(consensus::encode_config(config));
  append({Entry{{leadership_->epoch, log_.last().index.next()}, EntryKind::config, body}});
  feed_all();
}

// The first half is committed: nothing more needs the old configuration but the end of it.
void Zab::advance_change() {
  Leadership& lead = *leadership_;
  if (!configs_.logged().config.outgoing.empty() && commit_ >= configs_.logged().at.index) {
    if (!has_room_for(1)) return look("zxid_rollover");
    if (!lead.change) lead.change.emplace();
    lead.change->ends_at = log_.last().index.next();
    Config target = configs_.logged().config;
    target.outgoing.clear();
    return propose_config(std::move(target));
  }
  const bool is_over = lead.change && lead.change->ends_at > LogIndex{0};
  if (is_over && commit_ >= lead.change->ends_at) return finish_change();
  // An earlier leader ended it, and left us out.
  if (!lead.change && !configs_.is_voter(self_.id) && commit_ >= configs_.logged().at.index) {
    lead.change = Change{std::nullopt, configs_.logged().at.index};
    finish_change();
  }
}

void Zab::finish_change() {
  Leadership& lead = *leadership_;
  const NodeId designated = designated_leader();
  trace("ActivateReconfig", designated);
  for (auto& [peer, learner] : lead.learners) {
    feed(peer);
    if (!learner.is_forwarded() || learner.next <= lead.change->ends_at) continue;
    learner.told = std::min(commit_, learner.next.prev());
    send(peer, lead.epoch, CommitAndActivate{learner.session, learner.told, designated});
  }
  const auto change = std::exchange(lead.change, std::nullopt);
  if (change->request) {
    answer(*change->request, Fate::committed, {lead.epoch, change->ends_at});
  }
  if (designated != self_.id) look("handed_over");
}

// Ourselves, if the new configuration lets us vote; else who has the most of our log.
NodeId Zab::designated_leader() const {
  if (configs_.is_voter(self_.id)) return self_.id;
  std::pair best{LogIndex{0}, no_node};
  for (const auto& [peer, learner] : leadership_->learners) {
    if (!configs_.is_voter(peer) || !learner.is_synced()) continue;
    best = std::max(best, {learner.match, peer});
  }
  return best.second;
}

void Zab::handle(NodeId from, Epoch epoch, const CommitAndActivate& message) {
  handle(from, epoch, Commit{message.session, message.up_to});
  if (!session_ || session_->leader != from || session_->number != message.session) return;
  trace("ActivateReconfig", message.designated);
  if (message.designated != from) look("reconfigured");
}

}  // namespace qlab::zab
