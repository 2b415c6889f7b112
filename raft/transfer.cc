// Handing leadership over. Source: dissertation 3.10.
#include "common/check.h"
#include "consensus/quorum.h"
#include "raft/raft.h"

namespace qlab::raft {

using consensus::Fate;
using consensus::Member;
using consensus::MemberRole;

// Of those that may lead and are heard, the one whose log is the longest.
NodeId Raft::best_successor() const {
  NodeId best = no_node;
  LogIndex match;
  for (const Member& member : config().members) {
    if (member.role != MemberRole::voter || member.id == self_.id) continue;
    if (!links_.contains(member.id)) continue;
    const Progress& progress = leadership_->peers.at(member.id);
    if (!is_replica(member.id, progress.directory())) continue;
    if (best != no_node && progress.match() <= match) continue;
    best = member.id;
    match = progress.match();
  }
  return best;
}

void Raft::on(const in::Transfer& input) {
  if (role_ != Role::leader) return answer(input.request, Fate::rejected);
  if (handover_) return answer(input.request, Fate::overloaded, {}, "transfer");
  const NodeId to = input.to == no_node ? best_successor() : input.to;
  if (to == no_node) return answer(input.request, Fate::rejected, {}, "no_successor");
  if (to == self_.id) return answer(input.request, Fate::rejected, {}, "already_leads");
  const Member* member = consensus::find_member(config(), to);
  if (member == nullptr || member->role != MemberRole::voter) {
    return answer(input.request, Fate::rejected, {}, "not_a_voter");
  }
  handover_ = Handover{input.request, to, input.to != no_node, now_ + tuning_.election_timeout};
  trace("BeginTransfer", to);
  replicate(to, false);
  go_on_with_handover();
}

// The successor must have all of our log, or it could not win; from then on it may win at any time,
// whatever a lease says.
void Raft::go_on_with_handover() {
  if (!handover_ || handover_->asked) return;
  const auto peer = leadership_->peers.find(handover_->to);
  if (peer == leadership_->peers.end()) return end_handover(Fate::rejected, "not_a_voter");
  const Progress& progress = peer->second;
  const bool ready = progress.confirmed() == log_.last().index && links_.contains(peer->first) &&
                     is_replica(peer->first, progress.directory());
  if (!ready) return;
  handover_->asked = true;
  leadership_->lease_lost = true;
  trace("SendTimeoutNow", peer->first);
  // Our own log may be shorter on the disk than the successor's; its election does not ask for it.
  send(peer->first, hard_state_.epoch, TimeoutNow{}, consensus::WriteSeq{0});
}

void Raft::end_handover(Fate fate, std::string_view reason) {
  const Handover handover = *std::exchange(handover_, std::nullopt);
  answer(handover.request, fate, {}, reason);
}

void Raft::handle(NodeId from, Epoch, const TimeoutNow&) {
  if (role_ == Role::leader || leader_ != from) {
    return trace("DropTimeoutNow", from, "not_our_leader");
  }
  if (!may_lead(config())) return trace("DropTimeoutNow", from, "may_not_lead");
  emit(out::ElectionStarted{hard_state_.epoch.next(), "transfer"});
  become_candidate(true);
}

}  // namespace qlab::raft
