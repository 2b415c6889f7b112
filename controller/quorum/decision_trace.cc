#include "controller/quorum/decision_trace.h"

namespace qlab::controller {
namespace {

// In a change record: the leader stays.
constexpr NodeId no_change{-2};

const metadata::PartitionChangeRecord* new_leader(const metadata::Record& record) {
  const auto* change = std::get_if<metadata::PartitionChangeRecord>(&record);
  return change == nullptr || change->leader == no_change ? nullptr : change;
}

}  // namespace

DecisionTrace::DecisionTrace(runtime::TraceSink& sink, Epoch epoch, std::uint64_t batch,
                             const metadata::Records& records, const metadata::Image& decided)
    : sink_(sink),
      epoch_(epoch.value()),
      batch_(static_cast<std::int64_t>(batch)),
      records_(static_cast<std::int64_t>(records.size())) {
  if (!sink_.enabled()) return;
  for (const metadata::Record& record : records) {
    const auto* change = new_leader(record);
    if (change == nullptr) continue;
    const bool is_told = static_cast<std::size_t>(leaders_++) < changes_told_max;
    const metadata::TopicPtr topic = is_told ? decided.topic(change->topic_id) : nullptr;
    if (topic == nullptr) continue;
    const auto index = static_cast<std::size_t>(change->partition.value());
    changes_.push_back(
        {topic->name, change->partition, change->leader, topic->partitions[index]->leader_epoch});
  }
  if (static_cast<std::size_t>(leaders_) > changes_told_max) changes_.clear();
  sink_.emit("metadata_decided",
             {{"epoch", epoch_}, {"batch", batch_}, {"records", records_}, {"leaders", leaders_}});
  tell_changes("partition_change_decided");
}

void DecisionTrace::note_entries(const std::vector<Bytes>& bodies) {
  entries_ = static_cast<std::int64_t>(bodies.size());
  for (const Bytes& body : bodies) bytes_ += static_cast<std::int64_t>(body.size());
}

void DecisionTrace::committed(LogIndex last) const {
  if (!sink_.enabled()) return;
  sink_.emit("metadata_committed", {{"epoch", epoch_},
                                    {"batch", batch_},
                                    {"records", records_},
                                    {"leaders", leaders_},
                                    {"entries", entries_},
                                    {"bytes", bytes_},
                                    {"offset", last.value()}});
  tell_changes("partition_change_committed");
}

void DecisionTrace::tell_changes(std::string_view event) const {
  for (const Change& change : changes_) {
    sink_.emit(event, {{"topic", std::string_view(change.topic)},
                       {"partition", change.partition.value()},
                       {"leader", change.leader.value()},
                       {"leader_epoch", change.epoch.value()}});
  }
}

}  // namespace qlab::controller
