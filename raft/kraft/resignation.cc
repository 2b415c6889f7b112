// A leader that goes: EndQuorumEpoch, its successors, and the transfer of leadership by it.
// Source: KIP-595, "EndQuorumEpoch"; KIP-853 (successors are replica keys).
#include <algorithm>

#include "consensus/quorum.h"
#include "raft/kraft/kraft.h"

namespace qlab::raft::kraft {

using consensus::Fate;
using consensus::ReplicaKey;
using consensus::RequestId;

void Kraft::on(const in::Resign& input) {
  if (state_ == State::leader && hard_state_.epoch == input.epoch) resign("resign");
}

// The successors are the other voters, those first that have most.
void Kraft::resign(std::string_view reason, NodeId first) {
  std::vector<ReplicaKey> successors;
  for (const NodeId voter : other_voters()) {
    successors.push_back({voter, consensus::find_member(config(), voter)->directory});
  }
  std::stable_sort(
      successors.begin(), successors.end(), [&](const ReplicaKey& a, const ReplicaKey& b) {
        const auto rank = [&](NodeId id) { return std::pair{id == first, match_of(id)}; };
        return rank(a.id) > rank(b.id);
      });
  become_resigned(std::move(successors), reason);
}

void Kraft::end_epoch(NodeId peer) {
  if (resignation_->acknowledged.contains(peer)) return;
  send(peer, EndQuorumEpoch{resignation_->successors}, hard_seq_);
}

// Nobody followed us: whoever leads next leads another epoch.
void Kraft::on_resigned_timer() {
  if (now_ >= election_deadline_) return become_unattached(hard_state_.epoch.next());
  if (now_ < resignation_->due) return;
  resignation_->due = now_ + fetch_timeout() / 2;
  for (const NodeId voter : other_voters()) end_epoch(voter);
}

// The first of the successors campaigns at once; each one behind it waits twice as long as the one
// before, an election timeout at most. Who is not among them waits longest.
void Kraft::handle(NodeId from, Epoch epoch, const EndQuorumEpoch& request) {
  if (!learn(from, epoch, from)) {
    if (epoch < hard_state_.epoch) send(from, EndQuorumEpochResponse{}, hard_seq_);
    return;
  }
  send(from, EndQuorumEpochResponse{}, hard_seq_);
  if (state_ != State::follower || std::exchange(ended_, epoch) == epoch) return;
  const auto& successors = request.preferred_successors;
  const auto at = std::find_if(successors.begin(), successors.end(), [this](const ReplicaKey& key) {
    const bool any_disk = key.directory == DirectoryId{};
    return key.id == self_.id && (any_disk || key.directory == self_.directory);
  });
  const auto position = std::min<std::ptrdiff_t>(at - successors.begin(), 20);
  const auto behind = std::min<std::size_t>(successors.size(), 20) - (successors.empty() ? 0 : 1);
  Duration wait{};
  if (position > 0) {
    const Duration least = tuning_.election_timeout / (Duration::rep{1} << behind);
    wait = std::min(tuning_.election_timeout, least * (Duration::rep{1} << (position - 1)));
  }
  suspect_leader(wait, "end_quorum_epoch");
  if (position == 0 && may_campaign()) start_election("end_quorum_epoch");
}

void Kraft::handle(NodeId from, Epoch epoch, const EndQuorumEpochResponse&) {
  if (!learn(from, epoch, std::nullopt)) return;
  if (state_ == State::resigned) resignation_->acknowledged.insert(from);
}

// By EndQuorumEpoch with the target first, once it has all that we have. KRaft does so only when it
// shuts down.
void Kraft::on(const in::Transfer& input) {
  if (state_ != State::leader) return answer(input.request, Fate::rejected);
  Leadership& lead = *leadership_;
  if (lead.handover || transfer_) return answer(input.request, Fate::overloaded);
  NodeId target = input.to;
  if (target == no_node) {
    for (const NodeId voter : other_voters()) {
      if (target == no_node || match_of(voter) > match_of(target)) target = voter;
    }
  }
  if (!other_voters().contains(target)) return answer(input.request, Fate::rejected, "not_a_voter");
  lead.handover =
      Handover{input.to != no_node, input.request, target, now_ + tuning_.election_timeout};
  advance_handover();
}

void Kraft::advance_handover() {
  if (!leadership_ || !leadership_->handover) return;
  const NodeId target = leadership_->handover->target;
  if (!links_.contains(target)) return;  // It would not hear of it.
  if (match_of(target) == log_.last().index) resign("transfer", target);
}

// Nobody: none came forward in time.
void Kraft::settle_transfer(std::optional<NodeId> leader) {
  const RequestId request = transfer_->request;
  const bool is_another = leader && transfer_->named && *leader != transfer_->target;
  transfer_.reset();
  if (!leader) return answer(request, Fate::unknown);
  if (leader == self_.id) return answer(request, Fate::rejected, "leads_again");
  answer(request, is_another ? Fate::rejected : Fate::committed);
}

}  // namespace qlab::raft::kraft
