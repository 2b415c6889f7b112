// What a message says of its sender. Source: KIP-595, KIP-630, KIP-853, KIP-996: the requests.
#include "consensus/config.h"
#include "raft/kraft/model/kraft_state.h"

namespace qlab::raft::kraft::model {

using consensus::model::counts_in;
using consensus::model::has;
using consensus::model::is_same_entry;
using consensus::model::last_id;
using consensus::model::member_of;

void KraftModel::check(const out::Send& send) {
  const auto payload = decode(*send.message);
  const Epoch epoch = send.message->epoch;
  if (!require(payload.has_value(), message_epoch, "a message that is none")) return;
  require(epoch == node_->hard.epoch, message_epoch, "{} in {}", epoch, node_->hard.epoch);
  std::visit([&](const auto& message) { check_sent(send, message); }, *payload);
}

bool KraftModel::is_durable(const out::Send& send, const Rule& rule) {
  return require(node_->hard_state_after(send.after) == node_->hard, rule, "after write {}",
                 send.after);
}

void KraftModel::check_leader_named(const std::optional<NodeId>& leader) {
  if (!leader) return;
  const auto known = leaders_.find(node_->hard.epoch);
  require(known != leaders_.end() && known->second.id == *leader, leader_named, "{} in {}", *leader,
          node_->hard.epoch);
}

bool KraftModel::check_leads(const out::Send& send) {
  require(node_->role != Role::resigned, resigned_is_over, "in {}", node_->hard.epoch);
  require(leads(), who_leads, "in {}", node_->hard.epoch);
  is_durable(send, leadership_durable);
  return !refusal_;
}

void KraftModel::check_sent(const out::Send& send, const Vote& vote) {
  const HardState& hard = node_->hard;
  const consensus::Member* voter = member_of(node_->config(), send.to);
  const bool tells = vote.last == last_id(node_->log) && vote.candidate == node_->self.directory &&
                     voter != nullptr && counts_in(node_->config(), send.to) &&
                     vote.voter == voter->directory;
  require(node_->role != Role::resigned, resigned_is_over, "it asks for votes in {}", hard.epoch);
  require(!leads() && tells, vote.pre_vote ? pre_vote_asks : candidate_asks, "with {}.{}",
          vote.last.epoch, vote.last.index);
  if (vote.pre_vote) {
    require(may_campaign(), candidate_voter, "in {}", hard.epoch);
    node_->asks_first = true;
  } else {
    require(hard.vote == node_->self && !hard.leader, candidate_asks, "in {}", hard.epoch);
    is_durable(send, candidate_durable);
  }
  auto& ballot = node_->ballot;
  if (ballot && ballot->correlation == vote.correlation) return;
  ballot = Node::Ballot{vote.correlation, vote.pre_vote, {}};
}

void KraftModel::check_sent(const out::Send& send, const VoteResponse& response) {
  check_leader_named(response.leader);
  const auto* vote = heard<Vote>();
  const bool is_asked = vote != nullptr && heard_->from == send.to &&
                        vote->correlation == response.correlation &&
                        vote->pre_vote == response.pre_vote && is_for_us(vote->voter);
  if (!require(is_asked, vote_asked, "to {}", send.to)) return;
  if (response.granted) {
    require(heard_->epoch == node_->hard.epoch, vote_asked, "{} in {}", heard_->epoch,
            node_->hard.epoch);
    if (vote->pre_vote) {
      check_pre_vote_granted(send);
    } else {
      check_vote_granted(send);
    }
  }
  is_durable(send, epoch_durable);
}

void KraftModel::check_pre_vote_granted(const out::Send& send) {
  const LogId asked = heard<Vote>()->last;
  const LogId last = last_id(node_->log);
  require(asked >= last, pre_vote_up_to_date, "{}.{} against {}.{}", asked.epoch, asked.index,
          last.epoch, last.index);
  require(!leads() && !node_->hears_leader, pre_vote_unled, "to {} in {}", send.to,
          node_->hard.epoch);
}

// What is up to date and unled was judged when the vote was written: it may be told again.
void KraftModel::check_vote_granted(const out::Send& send) {
  const ReplicaKey candidate{send.to, heard<Vote>()->candidate};
  require(node_->hard.vote == candidate, one_vote, "to {} in {}, and it has another", send.to,
          node_->hard.epoch);
  is_durable(send, vote_durable);
}

void KraftModel::check_sent(const out::Send& send, const BeginQuorumEpoch& request) {
  if (!check_leads(send)) return;
  const consensus::Member* voter = member_of(node_->config(), send.to);
  require(counts_in(node_->config(), send.to) && request.voter == voter->directory, begin_to_voter,
          "to {}", send.to);
}

void KraftModel::check_sent(const out::Send& send, const BeginQuorumEpochResponse& response) {
  check_leader_named(response.leader);
  is_durable(send, epoch_durable);
}

void KraftModel::check_sent(const out::Send& send, const EndQuorumEpoch& request) {
  require(node_->role == Role::resigned && node_->hard.leader == node_->self.id, end_by_resigned,
          "in {}", node_->hard.epoch);
  for (const ReplicaKey& successor : request.preferred_successors) {
    require(counts_in(node_->config(), successor.id) && successor.id != node_->self.id,
            end_by_resigned, "{} is no other voter", successor.id);
  }
  is_durable(send, epoch_durable);
}

void KraftModel::check_sent(const out::Send& send, const EndQuorumEpochResponse&) {
  is_durable(send, epoch_durable);
}

// A crash would take back what was acknowledged, or bring back what was cut.
void KraftModel::check_log_durable(const out::Send& send) {
  for (const consensus::model::Write& write : node_->writes) {
    require(write.saved || write.seq <= send.after, fetch_durable, "write {} is not, after {}",
            write.seq, send.after);
  }
  is_durable(send, epoch_durable);
}

void KraftModel::check_sent(const out::Send& send, const Fetch& fetch) {
  const LogId end = last_id(node_->log);
  require(fetch.next == end.index.next() && fetch.last_fetched_epoch == end.epoch &&
              fetch.high_watermark == node_->commit && fetch.replica == node_->self.directory &&
              !leads(),
          fetch_end, "{} behind {}, high watermark {}", fetch.next, fetch.last_fetched_epoch,
          fetch.high_watermark);
  check_log_durable(send);
  node_->open = {send.to, {fetch.correlation, end, {}, 0}};
}

void KraftModel::check_sent(const out::Send& send, const FetchSnapshot& request) {
  const auto& piece = node_->piece;
  const bool goes_on = piece && piece->meta.last == request.snapshot &&
                       request.position == piece->position + piece->bytes->size();
  require(
      !leads() && request.replica == node_->self.directory && (request.position == 0 || goes_on),
      image_in_order, "{} of {}.{} is asked for", request.position, request.snapshot.epoch,
      request.snapshot.index);
  check_log_durable(send);
  node_->open = {send.to, {request.correlation, {}, request.snapshot, request.position}};
}

void KraftModel::check_sent(const out::Send& send, const FetchResponse& response) {
  check_leader_named(response.leader);
  if (response.status != FetchStatus::ok) {
    is_durable(send, epoch_durable);
    return;
  }
  if (!check_leads(send)) return;
  const auto fetcher = node_->fetchers.find(send.to);
  const bool is_open = fetcher != node_->fetchers.end() && !fetcher->second.last.snapshot &&
                       fetcher->second.last.correlation == response.correlation;
  if (!require(is_open, answers_fetch, "to {}", send.to)) return;
  require(response.high_watermark == node_->commit, response_watermark, "{} of {}",
          response.high_watermark, node_->commit);
  check_response(response, fetcher->second.last);
}

void KraftModel::check_response(const FetchResponse& response, const Node::Request& fetch) {
  if (response.snapshot) {
    const LogId last = *response.snapshot;
    require(has(committed_, last) && last.index <= node_->commit, image_committed, "{}.{}",
            last.epoch, last.index);
    return;
  }
  const bool diverges = !has(node_->log, fetch.end);
  if (response.diverging_epoch) {
    const LogId told = *response.diverging_epoch;
    require(diverges && told == end_of_epoch(node_->log, fetch.end.epoch), response_diverging,
            "{}.{} to {}.{}", told.epoch, told.index, fetch.end.epoch, fetch.end.index);
    return;
  }
  require(!diverges, response_diverging, "nothing to {}.{}", fetch.end.epoch, fetch.end.index);
  LogIndex next = fetch.end.index.next();
  for (const Entry& entry : response.entries) {
    const bool is_ours =
        entry.id.index == next && has(node_->log, entry.id) &&
        is_same_entry(entry, node_->log[static_cast<std::size_t>(next.value() - 1)]);
    if (!require(is_ours, response_log, "{}.{} behind {}", entry.id.epoch, entry.id.index,
                 fetch.end.index)) {
      return;
    }
    next = next.next();
  }
}

void KraftModel::check_sent(const out::Send& send, const FetchSnapshotResponse& response) {
  check_leader_named(response.leader);
  if (!response.found) {
    is_durable(send, epoch_durable);
    return;
  }
  if (!check_leads(send)) return;
  const auto fetcher = node_->fetchers.find(send.to);
  const bool is_open = fetcher != node_->fetchers.end() &&
                       fetcher->second.last.correlation == response.correlation &&
                       fetcher->second.last.snapshot == response.snapshot &&
                       fetcher->second.last.position == response.position;
  if (!require(is_open, answers_fetch, "to {}", send.to)) return;
  const LogId last = response.snapshot;
  const auto config = consensus::decode_config(response.config);
  const bool is_committed = has(committed_, last) && last.index <= node_->commit;
  require(is_committed && config && *config == node_->config_at_index(last.index), image_committed,
          "{}.{}", last.epoch, last.index);
  const bool is_read = chunk_ != nullptr && chunk_->for_peer == send.to && chunk_->bytes &&
                       chunk_->snapshot == last && chunk_->position == response.position &&
                       *chunk_->bytes == response.bytes;
  require(is_read, image_in_order, "{} of {}.{} is sent", response.position, last.epoch,
          last.index);
}

}  // namespace qlab::raft::kraft::model
