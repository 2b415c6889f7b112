// What a follower asks of its leader, and proposals that it hands over.
#include "common/check.h"
#include "raft/raft.h"

namespace qlab::raft {

using consensus::Fate;
using consensus::RequestId;
using consensus::WriteSeq;

// An answer is waited for as long as the leader of this epoch is known and linked, and an election
// timeout at most.
Ticket Raft::ask(std::map<Ticket, Question>& questions, RequestId request, std::uint64_t bytes) {
  const Ticket ticket{life_, ++tickets_};
  questions.emplace(ticket, Question{request, now_ + tuning_.election_timeout, bytes});
  return ticket;
}

void Raft::forward(const in::Propose& input) {
  std::uint64_t bytes = 0;
  for (const auto& body : input.bodies) bytes += body->size();
  if (forwarded_bytes_ > 0 && forwarded_bytes_ + bytes > tuning_.uncommitted_bytes_max) {
    return answer(input.request, Fate::overloaded);
  }
  forwarded_bytes_ += bytes;
  send(*leader_, hard_state_.epoch,
       ForwardRequest{ask(forwarded_, input.request, bytes), input.bodies}, WriteSeq{0});
}

// The leader that was asked leads no longer, or cannot be reached: a read did not happen, and of a
// proposal nobody can tell.
void Raft::end_questions() {
  for (const auto& [ticket, question] : std::exchange(reads_asked_, {})) {
    answer(question.request, Fate::rejected);
  }
  for (const auto& [ticket, question] : std::exchange(forwarded_, {})) {
    answer(question.request, Fate::unknown);
  }
  forwarded_bytes_ = 0;
}

void Raft::expire_questions() {
  while (!reads_asked_.empty() && reads_asked_.begin()->second.deadline <= now_) {
    const RequestId request = reads_asked_.extract(reads_asked_.begin()).mapped().request;
    answer(request, Fate::rejected);
  }
  while (!forwarded_.empty() && forwarded_.begin()->second.deadline <= now_) {
    const Question question = forwarded_.extract(forwarded_.begin()).mapped();
    forwarded_bytes_ -= question.bytes;
    answer(question.request, Fate::unknown);
  }
}

// A request that comes twice is proposed once, and not refused after it was: numbers of one life
// only grow, and one of another epoch never gets here.
void Raft::handle(NodeId from, Epoch epoch, const ForwardRequest& request) {
  std::uint64_t& last = taken_[{from, request.ticket.life}];
  if (request.ticket.number <= last) return trace("DropForwardRequest", from, "seen");
  if (role_ != Role::leader) {
    trace("DropForwardRequest", from, "not_leader");
    return send(from, epoch, ForwardReply{request.ticket, Fate::rejected, {}}, hard_seq_);
  }
  last = request.ticket.number;
  propose(request.bodies, Proposal{{}, {}, {}, 0, Asker{from, request.ticket}});
}

void Raft::handle(NodeId from, Epoch, const ForwardReply& reply) {
  const auto asked = forwarded_.find(reply.ticket);
  if (asked == forwarded_.end()) return trace("DropForwardReply", from, "not_asked");
  const Question question = asked->second;
  forwarded_.erase(asked);
  forwarded_bytes_ -= question.bytes;
  answer(question.request, reply.fate, reply.at);
}

}  // namespace qlab::raft
