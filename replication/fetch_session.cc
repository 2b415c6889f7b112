#include "replication/fetch_session.h"

namespace qlab::replication {

NodeId reader_of(const wire::FetchRequest& request) {
  return request.replica_id.value() >= 0 ? request.replica_id : request.replica_state.replica_id;
}

bool FetchSession::Entry::tell(const wire::FetchResponse::Partition& answer) {
  const bool is_moved =
      answer.high_watermark != told_watermark || answer.log_start_offset != told_log_start;
  told_watermark = answer.high_watermark;
  told_log_start = answer.log_start_offset;
  const bool has_records = answer.records && !answer.records->empty();
  return is_moved || has_records || answer.error_code != wire::KafkaError::none ||
         answer.diverging_epoch.end_offset.value() >= 0 || answer.preferred_read_replica != no_node;
}

void FetchSession::update(const wire::FetchRequest& request) {
  for (const auto& gone : request.forgotten_topics) forget(gone);
  for (const auto& topic : request.topics) {
    auto& known = *topics_.try_emplace({topic.topic, topic.topic_id}).first;
    for (const auto& wanted : topic.partitions) add(known, wanted);
  }
  const BrokerEpoch epoch = request.replica_state.replica_epoch;
  if (std::exchange(reader_epoch_, epoch) != epoch) mark_all();
}

void FetchSession::mark_all() {
  for (Slot slot = 0; slot < slots(); ++slot) {
    if (entries_[slot].topic != nullptr) feed_.mark(slot);
  }
}

void FetchSession::add(Topics::value_type& topic, const wire::FetchRequest::Partition& wanted) {
  const auto [at, is_new] = topic.second.try_emplace(wanted.partition);
  if (is_new) {
    if (free_.empty()) {
      free_.push_back(slots());
      entries_.emplace_back();
    }
    at->second = free_.back();
    free_.pop_back();
    entries_[at->second] = Entry{&topic.first, {}, Offset{-1}, Offset{-1}};
    ++size_;
  }
  Entry& entry = entries_[at->second];
  // A follower takes no answer from before its leader's epoch, and its watermark goes back with its
  // log.
  if (wanted.current_leader_epoch != entry.wanted.current_leader_epoch ||
      wanted.fetch_offset < entry.wanted.fetch_offset) {
    entry.told_watermark = entry.told_log_start = Offset{-1};
  }
  entry.wanted = wanted;
  feed_.mark(at->second);
}

void FetchSession::forget(const wire::FetchRequest::ForgottenTopic& gone) {
  const auto topic = topics_.find({gone.topic, gone.topic_id});
  if (topic == topics_.end()) return;
  for (const PartitionIndex partition : gone.partitions) {
    const auto at = topic->second.find(partition);
    if (at == topic->second.end()) continue;
    feed_.forget(at->second);
    entries_[at->second] = Entry{};
    free_.push_back(at->second);
    topic->second.erase(at);
    --size_;
  }
  if (topic->second.empty()) topics_.erase(topic);
}

}  // namespace qlab::replication
