#include "raft/kraft/model/kraft_model.h"

#include <algorithm>

#include "raft/kraft/model/kraft_state.h"

namespace qlab::raft::kraft::model {

using consensus::model::agree;
using consensus::model::has;
using consensus::model::last_id;
using consensus::model::last_index;

std::optional<Refusal> KraftModel::recover(ReplicaKey self, const consensus::Recovery& recovery,
                                           const consensus::LogView& log) {
  if (refusal_) return std::nullopt;
  if (leaders_.empty() && committed_.empty()) configured_ = recovery.base;
  Node& before = nodes_[self.id];
  Node node;
  node.now = before.now;
  node.tuning = before.tuning;
  if (before.self == self) {
    static_cast<consensus::model::Replica&>(node) = std::move(before);
  }
  node.self = self;
  node.configs.try_emplace(LogIndex{0}, configured_);
  node_ = &(before = std::move(node));
  const bool possible = node_->recover(recovery, log, committed_);
  require(possible, recovers, "last={}.{} epoch={}", log.last().epoch, log.last().index,
          recovery.hard_state.epoch);
  const HardState& hard = node_->hard;
  if (hard.leader) {
    node_->role = *hard.leader == self.id ? Role::resigned : Role::follower;
    if (*hard.leader != self.id) node_->follows = hard.leader;
  } else if (hard.vote == self) {
    node_->role = Role::candidate;
  }
  node_->told = node_->config();
  return refusal_;
}

void KraftModel::attend(NodeId node, Time now, const consensus::Tuning& tuning) {
  nodes_[node].now = now;
  nodes_[node].tuning = tuning;
}

std::optional<Refusal> KraftModel::step(NodeId id, const Input& input,
                                        const std::vector<Effect>& effects,
                                        const consensus::Status& status) {
  if (refusal_) return std::nullopt;
  node_ = &nodes_.at(id);
  take(input);
  for (const Effect& effect : effects) {
    std::visit([this](const auto& alternative) { check(alternative); }, effect);
    if (refusal_) return refusal_;
  }
  check_after(input, status);
  return refusal_;
}

void KraftModel::take(const Input& input) {
  heard_.reset();
  answered_.reset();
  chunk_ = std::get_if<in::SnapshotChunk>(&input);
  if (const auto* done = std::get_if<in::WriteDone>(&input)) node_->finish(done->up_to, committed_);
  if (const auto* read = std::get_if<in::Read>(&input)) {
    node_->reads[read->request] = group_commit();
  }
  if (const auto* up = std::get_if<in::LinkUp>(&input)) {
    node_->links[up->peer] = up->link;
    if (leads()) node_->fetchers[up->peer].contact = node_->now;
  }
  if (const auto* down = std::get_if<in::LinkDown>(&input)) {
    if (node_->follows == down->peer) node_->hears_leader = false;
    const auto link = node_->links.find(down->peer);
    if (link == node_->links.end() || link->second != down->link) return;
    node_->links.erase(link);
    if (node_->open && node_->open->first == down->peer) node_->open.reset();
    const bool listed = consensus::model::member_of(node_->config(), down->peer) != nullptr;
    if (!listed) node_->fetchers.erase(down->peer);
  }
  if (const auto* receive = std::get_if<in::Receive>(&input)) take(*receive);
}

void KraftModel::take(const in::Receive& receive) {
  auto payload = decode(*receive.message);
  if (!payload) return;  // Then nothing may come of it.
  heard_ = Heard{receive.from, receive.message->epoch, std::move(*payload)};
  take_answer();
  if (heard_->epoch != node_->hard.epoch) return;
  take_vote();
  if (leads()) take_fetch();
  if (heard<EndQuorumEpoch>() != nullptr && node_->follows == heard_->from) {
    node_->hears_leader = false;
  }
}

// A yes counts for the question that it answers, in the epoch that it was asked in.
void KraftModel::take_vote() {
  const auto* response = heard<VoteResponse>();
  auto& ballot = node_->ballot;
  if (response == nullptr || !ballot || !response->granted) return;
  if (response->correlation != ballot->correlation || response->pre_vote != ballot->pre_vote) {
    return;
  }
  ballot->granted.insert(heard_->from);
}

void KraftModel::take_answer() {
  const auto* response = heard<FetchResponse>();
  const auto* piece = heard<FetchSnapshotResponse>();
  auto& open = node_->open;
  if ((response == nullptr && piece == nullptr) || !open || open->first != heard_->from) return;
  const Correlation& correlation = piece ? piece->correlation : response->correlation;
  const bool is_asked = open->second.snapshot.has_value() == (piece != nullptr);
  if (!is_asked || correlation != open->second.correlation) return;
  answered_ = std::move(open->second);
  open.reset();
  const bool from_leader = heard_->epoch == node_->hard.epoch && node_->role == Role::follower &&
                           node_->follows == heard_->from;
  const bool is_content =
      piece ? piece->leader == heard_->from : response->status == FetchStatus::ok;
  if (from_leader && is_content) node_->hears_leader = true;
}

// Where a fetch begins is what its sender has, if it is there in our log too.
void KraftModel::take_fetch() {
  const auto* fetch = heard<Fetch>();
  const auto* piece = heard<FetchSnapshot>();
  if (fetch == nullptr && piece == nullptr) return;
  const DirectoryId directory = fetch ? fetch->replica : piece->replica;
  const Correlation& correlation = fetch ? fetch->correlation : piece->correlation;
  Node::Fetcher& fetcher = node_->fetchers[heard_->from];
  const Correlation& last = fetcher.last.correlation;
  fetcher.contact = node_->now;
  if (correlation.session == last.session && correlation.number < last.number) return;
  if (fetcher.directory != directory) fetcher = {directory, {}, {}, {}, false, node_->now};
  if (piece != nullptr) {
    fetcher.last = {correlation, {}, piece->snapshot, piece->position};
    return;
  }
  const LogId end{fetch->last_fetched_epoch, fetch->next.prev()};
  fetcher.last = {correlation, end, {}, 0};
  if (!has(node_->log, end)) return;
  fetcher.match = std::max(fetcher.match, end.index);
  if (!fetcher.end_at_first) fetcher.end_at_first = last_index(node_->log);
  if (end.index >= *fetcher.end_at_first) fetcher.caught_up = true;
}

void KraftModel::check_after(const Input& input, const consensus::Status& status) {
  check_adopted();
  require(!node_->is_active || leads(), active_leader, "it leads no more, and nobody was told");
  require(node_->told == node_->config(), voters_in_force, "another since {}, and nobody was told",
          node_->config_at());
  if (std::holds_alternative<in::Timer>(input)) check_quorum();
  const bool same_role = (status.role == "leader") == leads() &&
                         (status.role == "resigned") == (node_->role == Role::resigned);
  require(same_role && status.epoch == node_->hard.epoch && status.commit == node_->commit &&
              status.last == last_id(node_->log),
          agrees, "role={} epoch={} commit={} last={}.{}", status.role, status.epoch, status.commit,
          status.last.epoch, status.last.index);
}

// A fetch of a later epoch is no reason: its sender was told by others, and asks for votes.
void KraftModel::check_adopted() {
  if (!heard_) return;
  bool counts = heard<Fetch>() == nullptr && heard<FetchSnapshot>() == nullptr;
  if (const auto* vote = heard<Vote>()) counts = is_for_us(vote->voter);
  if (const auto* begin = heard<BeginQuorumEpoch>()) counts = is_for_us(begin->voter);
  if (heard<FetchResponse>() != nullptr || heard<FetchSnapshotResponse>() != nullptr) {
    counts = answered_.has_value();
  }
  require(!counts || node_->hard.epoch >= heard_->epoch, epoch_adopted, "{} after {}",
          node_->hard.epoch, heard_->epoch);
}

void KraftModel::check_quorum() {
  if (!leads() || !node_->tuning.check_quorum) return;
  const consensus::Tuning& tuning = node_->tuning;
  const Duration timeout =
      tuning.fetch_timeout > Duration{} ? tuning.fetch_timeout : tuning.election_timeout;
  const Config& config = node_->config();
  const bool fetches = agree(config, config.commit_quorum, [&](NodeId id) {
    if (id == node_->self.id) return true;
    const auto fetcher = node_->fetchers.find(id);
    Time contact = node_->led_since;
    if (fetcher != node_->fetchers.end()) contact = std::max(contact, fetcher->second.contact);
    return node_->now < contact + timeout * 3 / 2;
  });
  require(fetches, quorum_checked, "it leads {} on", node_->hard.epoch);
}

void KraftModel::check(const out::LeaderKnown& effect) {
  require(effect.epoch == node_->hard.epoch, message_epoch, "{} in {}", effect.epoch,
          node_->hard.epoch);
  node_->follows.reset();
  node_->open.reset();  // Who goes from one leader to another, or to none, gives up what it asked.
  if (effect.leader) {
    const auto leader = leaders_.find(effect.epoch);
    const bool known = leader != leaders_.end() && leader->second.id == *effect.leader &&
                       node_->hard.leader == effect.leader;
    require(known, leader_known, "{} in {}", *effect.leader, effect.epoch);
    require(*effect.leader != node_->self.id || leads(), resigned_is_over, "in {}", effect.epoch);
    if (*effect.leader != node_->self.id) node_->follows = effect.leader;
    return;
  }
  if (leads()) node_->role = Role::resigned;
  node_->hears_leader = false;
}

// It suspects its leader, whoever that is.
void KraftModel::check(const out::ElectionStarted&) {
  node_->hears_leader = false;
  node_->open.reset();
}

void KraftModel::check(const out::Activate& effect) {
  require(leads() && effect.epoch == node_->hard.epoch && effect.ready_at == node_->epoch_start &&
              node_->commit >= effect.ready_at,
          active_leader, "{} at {}", effect.epoch, effect.ready_at);
  node_->is_active = true;
}

void KraftModel::check(const out::Outcome& effect) {
  if (effect.fate != consensus::Fate::committed || effect.at.index == LogIndex{0}) return;
  require(has(committed_, effect.at), answered, "{}.{}", effect.at.epoch, effect.at.index);
}

void KraftModel::check(const out::ReadReady& effect) {
  const auto read = node_->reads.find(effect.request);
  const LogIndex least = read == node_->reads.end() ? LogIndex{0} : read->second;
  require(effect.wait_applied >= least, read_fresh, "{} with {} committed", effect.wait_applied,
          least);
}

std::shared_ptr<consensus::model::Model> make_kraft_model() {
  return std::make_shared<KraftModel>();
}

}  // namespace qlab::raft::kraft::model
