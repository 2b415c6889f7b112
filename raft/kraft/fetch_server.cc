// The leader's end of a fetch: entries, a divergence, an image, or a wait for something new.
// Source: KIP-595, "Fetch"; KIP-630 (where the log begins); KAFKA-15078 (an empty log).
#include "raft/kraft/kraft.h"

namespace qlab::raft::kraft {

using consensus::LogId;

// The replica that may be answered, voter or not: one that we do not list may have to learn from us
// that it is not listed, or that it is. Null when there is nobody to answer.
Replica* Kraft::admit(NodeId from, Epoch epoch, const Correlation& correlation,
                      DirectoryId directory) {
  if (epoch > hard_state_.epoch) {
    trace("DropFetch", from, "unknown_leader_epoch");  // It finds out when it asks for votes.
    return nullptr;
  }
  Replica& replica = leadership_->replicas.try_emplace(from, now_).first->second;
  if (replica.admit(correlation, directory, now_)) return &replica;
  trace("DropFetch", from, "stale");
  return nullptr;
}

// Whether what follows `previous` is only in the image. An empty log begins with the image, if
// there is one, although the entries may be there too.
bool Kraft::is_compacted(LogId previous) const {
  if (log_.snapshot().last.index == LogIndex{0}) return false;
  if (previous.index == LogIndex{0}) return true;
  const LogIndex least = log_.first().prev();
  return previous.index < least || log_.end_of_epoch(previous.epoch).index < least;
}

void Kraft::handle(NodeId from, Epoch epoch, const Fetch& fetch) {
  if (state_ != State::leader || epoch < hard_state_.epoch) {
    FetchResponse response;
    response.correlation = fetch.correlation;
    response.status = FetchStatus::not_leader;
    response.leader = leader_;
    return send(from, std::move(response), hard_seq_);
  }
  Replica* replica = admit(from, epoch, fetch.correlation, fetch.replica);
  if (replica == nullptr) return;
  replica->acknowledge_round(std::min(fetch.round, leadership_->round));
  const LogId previous{fetch.last_fetched_epoch, fetch.next.prev()};
  FetchResponse response{
      fetch.correlation, FetchStatus::ok, leader_, commit_, leadership_->round, {}, {}, {}};
  if (is_compacted(previous)) {
    trace("SnapshotNeeded", from);
    response.snapshot = log_.snapshot().last;
    send(from, std::move(response), hard_seq_);
    return serve_reads();
  }
  const LogId end = log_.end_of_epoch(previous.epoch);
  if (end.epoch != previous.epoch || end.index < previous.index) {
    trace("DivergingEpoch", from);
    response.diverging_epoch = end;
    send(from, std::move(response), hard_seq_);
    return serve_reads();
  }
  replica->acknowledge(previous.index, log_.last().index, now_);
  advance_high_watermark();
  if (leadership_) serve_reads();
  if (leadership_) advance_change();
  if (!leadership_) return;  // A leader that removed itself has just resigned.
  serve(from, fetch, false);
  advance_handover();
}

// Answers with what is new: entries, or a high watermark beyond the one that the asker knows
// (KIP-1166). False: there is nothing, and the fetch is parked until there is, for a heartbeat at
// most. The answer waits for our leadership to be durable, not for the entries: in parallel with
// our own write.
bool Kraft::serve(NodeId peer, const Fetch& fetch, bool even_empty) {
  Leadership& lead = *leadership_;
  Replica& replica = lead.replicas.at(peer);
  const bool is_new = fetch.next <= log_.last().index || commit_ > fetch.high_watermark;
  if (!is_new && !even_empty) {
    const Duration most = std::min(tuning_.heartbeat_interval, fetch_timeout() / 4);
    if (!replica.parked) replica.parked = Parked{fetch, now_ + most};
    return false;
  }
  replica.parked.reset();
  FetchResponse response{
      fetch.correlation, FetchStatus::ok, leader_, commit_, lead.round, {}, {}, {}};
  if (fetch.next <= log_.last().index) {
    response.entries = log_.read(fetch.next, tuning_.batch_bytes_max);
  }
  send(peer, std::move(response), hard_seq_);
  return true;
}

void Kraft::serve_parked(bool even_empty) {
  for (auto& [peer, replica] : leadership_->replicas) {
    if (!replica.parked) continue;
    const Fetch fetch = replica.parked->fetch;
    serve(peer, fetch, even_empty);
  }
}

}  // namespace qlab::raft::kraft
