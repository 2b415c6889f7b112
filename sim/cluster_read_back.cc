// The end of a trial, as a client sees it: everything is there and serves again.

#include "sim/cluster_client.h"

namespace qlab::sim {

using runtime::Task;
using wire::KafkaError;

namespace {

constexpr Duration retry_after = std::chrono::milliseconds(100);
constexpr std::string_view last_topic = "read-back";

}  // namespace

void ClusterClient::begin_reading_back() {
  gate_.start([this] { return read_back(); });
}

Task<void> ClusterClient::read_back() {
  while (!loss_) {
    const auto done = co_await try_read_back();
    if (done) {
      read_back_ = true;
      co_return;
    }
    trouble_ = done.error().message();
    co_await runtime::sleep_for(runtime_, retry_after);
  }
}

Task<Result<void>> ClusterClient::try_read_back() {
  const std::string name(last_topic);
  if (!history_.topics.contains(name)) {
    CO_TRY(const KafkaError created,
           co_await create(name, options_.partitions_max, options_.replicas_max));
    if (created != KafkaError::none && created != KafkaError::topic_already_exists) {
      co_return fail(Errc::not_leader, "{} is not created: {}", name, wire::name_of(created));
    }
    TopicFate fate;
    fate.partitions = options_.partitions_max;
    fate.replicas = options_.replicas_max;
    fate.is_created = true;
    history_.topics.emplace(name, fate);
  }
  CO_TRY_VOID(co_await refresh());
  std::vector<TopicPartition> all;
  for (const auto& [topic, fate] : history_.topics) {
    if (!fate.is_created || fate.is_deletion_asked) continue;
    for (std::int32_t p = 0; p < fate.partitions; ++p) {
      all.push_back({topic, PartitionIndex{p}});
    }
  }
  for (const TopicPartition& partition : all) {
    if (done_.contains(partition)) continue;
    CO_TRY_VOID(co_await read_back_partition(partition));
    done_.insert(partition);
  }
  co_return Result<void>{};
}

Task<Result<void>> ClusterClient::read_back_partition(TopicPartition partition) {
  CO_TRY(Offset end, co_await produce(partition));
  // A batch that is sent again may stand before records of others.
  if (history_.promises.records_stay) end = std::max(end, history_.partitions[partition].kept_end);
  Offset at{0};
  if (options_.has_sessions) {
    if (begun_.insert(partition).second) positions_[partition] = at;
    const auto fetched = co_await fetch_in_session(partition);
    at = positions_[partition];
    // An error may be another partition's, of a topic that was deleted.
    if (at < end)
      co_return fail(Errc::timed_out, "{}: read up to {} of {} in a session ({})", partition.name(),
                     at, end, fetched ? "no error" : fetched.error().message());
  }
  while (at < end) {
    CO_TRY(const Fetched fetched, co_await fetch(partition, at));
    if (fetched.next == at)
      co_return fail(Errc::timed_out, "{}: nothing yet at {} of {}", partition.name(), at, end);
    at = fetched.next;
  }
  // What it was told is judged, and known, once this event is over.
  co_await runtime::sleep_for(runtime_, std::chrono::microseconds(1));
  if (!history_.promises.records_stay) co_return Result<void>{};
  const PartitionFate& fate = history_.partitions[partition];
  for (const auto& [offset, value] : fate.acknowledged) {
    const auto seen = fate.seen.find(offset);
    if (seen != fate.seen.end() && seen->second == value) continue;
    loss_ = fmt::format("record {} was acknowledged at offset {} of {} and is not there", value,
                        offset, partition.name());
  }
  co_return Result<void>{};
}

}  // namespace qlab::sim
