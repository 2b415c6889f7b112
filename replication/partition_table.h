#pragma once
// Something for each partition of a shard: a broker has hundreds of thousands.
//
// Thread: one shard.

#include <map>
#include <optional>
#include <utility>
#include <vector>

#include <boost/container/flat_map.hpp>

#include "common/ids.h"

namespace qlab::replication {

// Value: default constructed and false when there is none, as a shared pointer is.
// Cost: finding is logarithmic; an entry in a topic of many takes little more than its value.
template <class Value>
class PartitionTable {
 public:
  Value find(TopicId topic, PartitionIndex partition) const {
    const auto found = topics_.find(topic);
    if (found == topics_.end()) return {};
    const auto at = found->second.find(partition);
    return at == found->second.end() ? Value{} : at->second;
  }
  // Replaces what is there.
  void put(TopicId topic, PartitionIndex partition, Value value) {
    if (topics_[topic].insert_or_assign(partition, std::move(value)).second) ++size_;
  }
  // What was there; it is there no more.
  Value take(TopicId topic, PartitionIndex partition) {
    const auto found = topics_.find(topic);
    if (found == topics_.end()) return {};
    const auto at = found->second.find(partition);
    if (at == found->second.end()) return {};
    Value value = std::move(at->second);
    found->second.erase(at);
    if (found->second.empty()) topics_.erase(found);
    --size_;
    return value;
  }

  // Those of a topic, in order.
  std::vector<PartitionIndex> partitions_of(TopicId topic) const {
    std::vector<PartitionIndex> partitions;
    const auto found = topics_.find(topic);
    if (found == topics_.end()) return partitions;
    for (const auto& [partition, value] : found->second) partitions.push_back(partition);
    return partitions;
  }
  std::vector<TopicId> topics() const {
    std::vector<TopicId> topics;
    for (const auto& [topic, partitions] : topics_) topics.push_back(topic);
    return topics;
  }
  std::size_t size() const { return size_; }

  // Goes through the table piece by piece, in order, whatever becomes of it between two pieces:
  // what is there all the time is seen once. Requires: the table outlives it.
  class Walk {
   public:
    explicit Walk(const PartitionTable& table) : table_(table) {}

    // The next ones, at most so many; none at the end.
    std::vector<Value> next(std::size_t count_max) {
      std::vector<Value> values;
      const auto& topics = table_.topics_;
      auto topic = last_ ? topics.lower_bound(last_->first) : topics.begin();
      for (; topic != topics.end() && values.size() < count_max; ++topic) {
        const auto& partitions = topic->second;
        const bool is_begun = last_ && last_->first == topic->first;
        auto at = is_begun ? partitions.upper_bound(last_->second) : partitions.begin();
        for (; at != partitions.end() && values.size() < count_max; ++at) {
          values.push_back(at->second);
          last_ = {topic->first, at->first};
        }
      }
      return values;
    }

   private:
    const PartitionTable& table_;
    std::optional<std::pair<TopicId, PartitionIndex>> last_;  // Seen.
  };

 private:
  using Partitions = boost::container::flat_map<PartitionIndex, Value>;
  std::map<TopicId, Partitions> topics_;  // None without partitions.
  std::size_t size_ = 0;                  // Of all topics.
};

}  // namespace qlab::replication
