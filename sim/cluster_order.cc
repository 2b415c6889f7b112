// Where records stand: each at one offset, and a producer's in their order.

#include "sim/cluster_invariants.h"

namespace qlab::sim {
namespace {

using Places = std::map<std::uint64_t, Offset>;  // By value.

std::uint64_t client_of(std::uint64_t value) {
  return value / values_per_client;
}

// What is fresh, held against what is known and what of it came before.
class OrderCheck {
 public:
  explicit OrderCheck(const ClusterHistory& history) : history_(history) {}

  Finding take(const TopicPartition& partition, const SeenRecord& record) {
    const auto fate = history_.partitions.find(partition);
    if (fate != history_.partitions.end()) {
      const auto seen = fate->second.seen.find(record.offset);
      if (seen != fate->second.seen.end() && seen->second == record.value) return std::nullopt;
      if (auto finding = compare(partition, record, fate->second.stands_at)) return finding;
    }
    Places& fresh = fresh_[partition];
    if (auto finding = compare(partition, record, fresh)) return finding;
    fresh.try_emplace(record.value, record.offset);
    return std::nullopt;
  }

 private:
  Finding compare(const TopicPartition& partition, const SeenRecord& record,
                  const Places& places) const {
    const auto next = places.lower_bound(record.value);
    const bool is_known = next != places.end() && next->first == record.value;
    if (is_known && next->second == record.offset) return std::nullopt;
    if (is_known) {
      return fmt::format("record {} stands at offsets {} and {} of {}", record.value, next->second,
                         record.offset, partition.name());
    }
    if (!history_.idempotent_clients.contains(client_of(record.value))) return std::nullopt;
    const bool is_before_next = next == places.end() ||
                                client_of(next->first) != client_of(record.value) ||
                                record.offset < next->second;
    const auto before = next == places.begin() ? places.end() : std::prev(next);
    const bool is_after_last = before == places.end() ||
                               client_of(before->first) != client_of(record.value) ||
                               before->second < record.offset;
    if (is_before_next && is_after_last) return std::nullopt;
    const auto& other = is_before_next ? before : next;
    return fmt::format("record {} stands at offset {} of {}, and {} of the same producer at {}",
                       record.value, record.offset, partition.name(), other->first, other->second);
  }

  const ClusterHistory& history_;
  std::map<TopicPartition, Places> fresh_;
};

}  // namespace

Finding records_stand_once_and_in_order(const ClusterHistory& history) {
  if (!history.promises.records_stay) return std::nullopt;
  OrderCheck check(history);
  for (const auto& acknowledged : history.fresh.acknowledged) {
    for (std::uint64_t i = 0; i < acknowledged.count; ++i) {
      const SeenRecord record{acknowledged.first.offset.plus(static_cast<std::int64_t>(i)),
                              acknowledged.first.value + i};
      if (auto finding = check.take(acknowledged.partition, record)) return finding;
    }
  }
  for (const auto& consumed : history.fresh.consumed) {
    for (const SeenRecord& record : consumed.records) {
      if (auto finding = check.take(consumed.partition, record)) return finding;
    }
  }
  for (const auto& stored : history.fresh.stored) {
    for (const SeenRecord& record : stored.records) {
      if (auto finding = check.take(stored.partition, record)) return finding;
    }
  }
  return std::nullopt;
}

}  // namespace qlab::sim
