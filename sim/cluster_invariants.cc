#include "sim/cluster_invariants.h"

#include <algorithm>

namespace qlab::sim {
namespace {

// What was said first under a key: long ago, or by what is fresh and comes before.
template <class Key, class Value>
class FirstSaid {
 public:
  explicit FirstSaid(const std::map<Key, Value>& known) : known_(known) {}
  const Value& of(const Key& key, const Value& now) {
    const auto at = known_.find(key);
    if (at != known_.end()) return at->second;
    return fresh_.try_emplace(key, now).first->second;
  }

 private:
  const std::map<Key, Value>& known_;
  std::map<Key, Value> fresh_;
};

using Visit = std::function<void(const metadata::TopicPtr& topic)>;

// The topics that are not the same value in the image before.
void for_each_changed_topic(const ClusterFresh::Published& published, const Visit& visit) {
  published.image->topics().for_each([&](const std::string&, const metadata::TopicPtr& topic) {
    if (published.before != nullptr && published.before->topic(topic->id) == topic) return;
    visit(topic);
  });
}

void for_each_gone_topic(const ClusterFresh::Published& published, const Visit& visit) {
  if (published.before == nullptr) return;
  published.before->topics().for_each([&](const std::string&, const metadata::TopicPtr& topic) {
    if (published.image->any_topic(topic->id) == nullptr) visit(topic);
  });
}

Finding compare(NodeId node, const metadata::Topic& before, const metadata::Topic& after,
                bool are_whole) {
  if (after.partitions.size() < before.partitions.size()) {
    return fmt::format("node {}: topic {} has {} partitions after {}", node, after.name,
                       after.partitions.size(), before.partitions.size());
  }
  for (std::size_t p = 0; p < before.partitions.size(); ++p) {
    const metadata::Partition& was = *before.partitions[p];
    const metadata::Partition& is = *after.partitions[p];
    if (is.leader_epoch < was.leader_epoch || is.partition_epoch < was.partition_epoch) {
      return fmt::format("node {}: {}-{} goes from leader epoch {} to {}, partition epoch {} to {}",
                         node, after.name, p, was.leader_epoch, is.leader_epoch,
                         was.partition_epoch, is.partition_epoch);
    }
    const bool is_room = !are_whole && was.leader == no_node;  // For what it was not told yet.
    if (is.partition_epoch == was.partition_epoch && !(is == was) && !is_room) {
      return fmt::format("node {}: {}-{} changes within partition epoch {}", node, after.name, p,
                         is.partition_epoch);
    }
  }
  return std::nullopt;
}

const std::uint64_t* value_at(const std::map<Offset, std::uint64_t>& values, Offset offset) {
  const auto at = values.find(offset);
  return at == values.end() ? nullptr : &at->second;
}

// What is new about a partition's records, held against what is known of them.
class RecordCheck {
 public:
  explicit RecordCheck(const ClusterHistory& history) : history_(history) {}

  Finding take(const TopicPartition& partition, const SeenRecord& record, std::string_view who) {
    const auto fate = history_.partitions.find(partition);
    const std::uint64_t* known = nullptr;
    if (fate != history_.partitions.end()) {
      known = value_at(fate->second.seen, record.offset);
      if (known == nullptr) known = value_at(fate->second.acknowledged, record.offset);
    }
    if (known == nullptr) {
      known = &fresh_.try_emplace({partition, record.offset}, record.value).first->second;
    }
    if (*known == record.value) return std::nullopt;
    return fmt::format("{} has record {} at offset {} of {}, where record {} was before", who,
                       record.value, record.offset, partition.name(), *known);
  }

 private:
  const ClusterHistory& history_;
  std::map<std::pair<TopicPartition, Offset>, std::uint64_t> fresh_;
};

void count_moves(ClusterHistory& history, const metadata::Topic& was, const metadata::Topic& is) {
  for (std::size_t p = 0; p < std::min(was.partitions.size(), is.partitions.size()); ++p) {
    const metadata::Partition& before = *was.partitions[p];
    const metadata::Partition& after = *is.partitions[p];
    if (!before.is_reassigning() || after.is_reassigning()) continue;
    const auto& replicas = after.replicas;
    if (replicas.empty()) continue;  // It was moved away from here.
    const PartitionIndex index{static_cast<std::int32_t>(p)};
    if (!history.moves_ended.emplace(was.id, index, after.partition_epoch).second) continue;
    const bool has_added =
        std::all_of(before.adding.begin(), before.adding.end(), [&replicas](NodeId added) {
          return std::find(replicas.begin(), replicas.end(), added) != replicas.end();
        });
    ++(has_added ? history.reached.moves_completed : history.reached.moves_cancelled);
  }
}

// Counts the moves that have come to an end. An image that leaves out the middle of one tells of
// none.
void count_moves(ClusterHistory& history, const ClusterFresh::Published& published) {
  if (published.before == nullptr) return;
  published.before->index().reassigning.topics.for_each([&](const TopicId& id, std::uint32_t) {
    const metadata::TopicPtr was = published.before->any_topic(id);
    const metadata::TopicPtr is = published.image->any_topic(id);
    if (was != nullptr && is != nullptr && was != is) count_moves(history, *was, *is);
  });
}

// The same where images have no index. One that a broker hears of late may be counted twice.
void count_moves_told(ClusterHistory& history, const ClusterFresh::Published& told) {
  if (told.before == nullptr) return;
  for_each_changed_topic(told, [&](const metadata::TopicPtr& is) {
    const metadata::TopicPtr was = told.before->topic(is->id);
    if (was != nullptr) count_moves(history, *was, *is);
  });
}

void learn(ClusterHistory& history, const ClusterFresh::Published& published) {
  const LogIndex offset = published.image->offset();
  if (history.promises.images_share_a_log) {
    history.images.try_emplace(offset, digest_of(*published.image));
  }
  for_each_changed_topic(published, [&](const metadata::TopicPtr& topic) {
    for (std::size_t p = 0; p < topic->partitions.size(); ++p) {
      const metadata::Partition& partition = *topic->partitions[p];
      const PartitionIndex index{static_cast<std::int32_t>(p)};
      if (!history.promises.images_share_a_log && partition.leader == no_node) continue;
      history.appointed.try_emplace({topic->id, index, partition.leader_epoch}, partition.leader);
    }
  });
  count_moves(history, published);
  for_each_gone_topic(published, [&](const metadata::TopicPtr& topic) {
    const auto known = history.removed.try_emplace(topic->id, offset).first;
    known->second = std::min(known->second, offset);
    history.removed_at[published.node].insert(topic->id);
  });
}

void note_seen(PartitionFate& fate, const SeenRecord& record) {
  if (!fate.seen.try_emplace(record.offset, record.value).second) return;
  fate.stands_at.try_emplace(record.value, record.offset);
}

void learn(ClusterHistory& history, const ClusterFresh::Consumed& consumed) {
  PartitionFate& fate = history.partitions[consumed.partition];
  Offset& watermark = fate.watermarks[consumed.epoch];
  watermark = std::max(watermark, consumed.watermark);
  for (const SeenRecord& record : consumed.records) {
    note_seen(fate, record);
    fate.kept_end = std::max(fate.kept_end, record.offset.next());
  }
  history.records_read += consumed.records.size();
}

void learn(ClusterHistory& history, const ClusterFresh::Acknowledged& acknowledged) {
  PartitionFate& fate = history.partitions[acknowledged.partition];
  for (std::uint64_t i = 0; i < acknowledged.count; ++i) {
    const Offset offset = acknowledged.first.offset.plus(static_cast<std::int64_t>(i));
    fate.acknowledged.try_emplace(offset, acknowledged.first.value + i);
    fate.stands_at.try_emplace(acknowledged.first.value + i, offset);
    fate.kept_end = std::max(fate.kept_end, offset.next());
  }
  history.records_acknowledged += acknowledged.count;
}

}  // namespace

Finding metadata_never_goes_back(const ClusterHistory& history) {
  for (const auto& published : history.fresh.published) {
    const metadata::ImagePtr& before = published.before;
    if (before == nullptr) continue;
    if (published.image->offset() < before->offset()) {
      return fmt::format("node {}: the image at {} follows that at {}", published.node,
                         published.image->offset(), before->offset());
    }
    Finding finding;
    for_each_changed_topic(published, [&](const metadata::TopicPtr& topic) {
      const metadata::TopicPtr was = before->topic(topic->id);
      if (was != nullptr && !finding) {
        finding = compare(published.node, *was, *topic, history.promises.images_share_a_log);
      }
    });
    if (finding) return finding;
  }
  return std::nullopt;
}

Finding images_are_equal_at_equal_offsets(const ClusterHistory& history) {
  if (!history.promises.images_share_a_log) return std::nullopt;
  FirstSaid<LogIndex, std::uint64_t> first(history.images);
  for (const auto& published : history.fresh.published) {
    const LogIndex offset = published.image->offset();
    const std::uint64_t digest = digest_of(*published.image);
    if (first.of(offset, digest) == digest) continue;
    return fmt::format("node {} has another image at offset {} than was there before",
                       published.node, offset);
  }
  return std::nullopt;
}

Finding deleted_topics_stay_deleted(const ClusterHistory& history) {
  for (const auto& published : history.fresh.published) {
    Finding finding;
    const auto here = history.removed_at.find(published.node);
    for_each_changed_topic(published, [&](const metadata::TopicPtr& topic) {
      const auto removed = history.removed.find(topic->id);
      if (removed == history.removed.end()) return;
      const bool is_gone_here =
          here != history.removed_at.end() && here->second.contains(topic->id);
      const bool is_later =
          history.promises.images_share_a_log && published.image->offset() >= removed->second;
      if (!is_gone_here && !is_later) return;
      finding = fmt::format("node {}: topic {} ({}) is there at {}, and was gone at {}",
                            published.node, topic->name, topic->id.to_string(),
                            published.image->offset(), removed->second);
    });
    if (finding) return finding;
  }
  return std::nullopt;
}

Finding one_partition_leader_per_epoch(const ClusterHistory& history) {
  FirstSaid<LeadershipKey, NodeId> appointed(history.appointed);
  for (const auto& published : history.fresh.published) {
    Finding finding;
    for_each_changed_topic(published, [&](const metadata::TopicPtr& topic) {
      for (std::size_t p = 0; p < topic->partitions.size(); ++p) {
        const metadata::Partition& partition = *topic->partitions[p];
        // Whose nodes are told of some partitions before others makes room for those.
        if (!history.promises.images_share_a_log && partition.leader == no_node) continue;
        const LeadershipKey key{topic->id, PartitionIndex{static_cast<std::int32_t>(p)},
                                partition.leader_epoch};
        const NodeId first = appointed.of(key, partition.leader);
        if (first == partition.leader) continue;
        finding = fmt::format("node {}: {} leads {}-{} in leader epoch {}, and {} was said to",
                              published.node, partition.leader, topic->name, p,
                              partition.leader_epoch, first);
      }
    });
    if (finding) return finding;
  }
  FirstSaid<LeadershipKey, NodeId> leaders(history.leaders);
  for (const auto& led : history.fresh.led) {
    const LeadershipKey key{led.topic, led.partition.partition, led.epoch};
    const NodeId first = leaders.of(key, led.node);
    const NodeId meant = appointed.of(key, led.node);
    if (first == led.node && meant == led.node) continue;
    return fmt::format("node {} leads {} in leader epoch {}, which is that of node {}", led.node,
                       led.partition.name(), led.epoch, first == led.node ? meant : first);
  }
  return std::nullopt;
}

Finding one_controller_per_epoch(const ClusterHistory& history) {
  FirstSaid<Epoch, NodeId> controllers(history.controllers);
  for (const auto& decides : history.fresh.decides) {
    const NodeId first = controllers.of(decides.epoch, decides.node);
    if (first == decides.node) continue;
    return fmt::format("nodes {} and {} decide in epoch {}", first, decides.node, decides.epoch);
  }
  return std::nullopt;
}

Finding leaders_have_what_was_acknowledged(const ClusterHistory& history) {
  if (!history.promises.records_stay) return std::nullopt;
  for (const auto& led : history.fresh.led) {
    const auto fate = history.partitions.find(led.partition);
    if (fate == history.partitions.end() || !led.is_newest) continue;
    if (led.log_end >= fate->second.kept_end || !history.is_kept(led.partition)) continue;
    return fmt::format("node {} leads {} in leader epoch {} with a log to {}, and {} was promised",
                       led.node, led.partition.name(), led.epoch, led.log_end,
                       fate->second.kept_end);
  }
  return std::nullopt;
}

Finding an_offset_is_one_record(const ClusterHistory& history) {
  if (!history.promises.records_stay) return std::nullopt;
  RecordCheck check(history);
  for (const auto& acknowledged : history.fresh.acknowledged) {
    for (std::uint64_t i = 0; i < acknowledged.count; ++i) {
      const SeenRecord record{acknowledged.first.offset.plus(static_cast<std::int64_t>(i)),
                              acknowledged.first.value + i};
      if (auto finding = check.take(acknowledged.partition, record, "a producer")) return finding;
    }
  }
  for (const auto& consumed : history.fresh.consumed) {
    for (const SeenRecord& record : consumed.records) {
      if (auto finding = check.take(consumed.partition, record, "a consumer")) return finding;
    }
  }
  for (const auto& stored : history.fresh.stored) {
    for (const SeenRecord& record : stored.records) {
      const std::string who = fmt::format("node {}", stored.node);
      if (auto finding = check.take(stored.partition, record, who)) return finding;
    }
  }
  return std::nullopt;
}

Finding watermarks_never_go_back(const ClusterHistory& history) {
  for (const auto& consumed : history.fresh.consumed) {
    if (consumed.watermark >= consumed.watermark_before) continue;
    return fmt::format("the high watermark of {} in leader epoch {} is {}, and was {}",
                       consumed.partition.name(), consumed.epoch, consumed.watermark,
                       consumed.watermark_before);
  }
  return std::nullopt;
}

Finding what_was_read_stays_in_range(const ClusterHistory& history) {
  if (!history.promises.records_stay) return std::nullopt;
  for (const auto& outside : history.fresh.out_of_range) {
    if (!history.is_kept(outside.partition)) continue;
    return fmt::format("offset {} of {} is out of range, and all before it was read", outside.asked,
                       outside.partition.name());
  }
  return std::nullopt;
}

Finding nodes_start_and_go_on(const ClusterHistory& history) {
  for (const auto& refused : history.fresh.refused) {
    return fmt::format("node {}: {}", refused.node, refused.why);
  }
  return std::nullopt;
}

std::span<const ClusterInvariant> cluster_invariants() {
  static constexpr ClusterInvariant all[] = {
      {"metadata_never_goes_back", metadata_never_goes_back},
      {"images_are_equal_at_equal_offsets", images_are_equal_at_equal_offsets},
      {"deleted_topics_stay_deleted", deleted_topics_stay_deleted},
      {"one_partition_leader_per_epoch", one_partition_leader_per_epoch},
      {"one_controller_per_epoch", one_controller_per_epoch},
      {"leaders_have_what_was_acknowledged", leaders_have_what_was_acknowledged},
      {"an_offset_is_one_record", an_offset_is_one_record},
      {"records_stand_once_and_in_order", records_stand_once_and_in_order},
      {"watermarks_never_go_back", watermarks_never_go_back},
      {"what_was_read_stays_in_range", what_was_read_stays_in_range},
      {"nodes_start_and_go_on", nodes_start_and_go_on},
  };
  return all;
}

Finding judge(ClusterHistory& history) {
  if (history.fresh.empty()) return std::nullopt;
  for (const ClusterInvariant& invariant : cluster_invariants()) {
    if (auto finding = invariant.check(history)) {
      return fmt::format("{}: {}", invariant.name, *finding);
    }
  }
  for (const auto& published : history.fresh.published) learn(history, published);
  for (const auto& told : history.fresh.told) count_moves_told(history, told);
  for (const auto& led : history.fresh.led) {
    history.leaders.try_emplace({led.topic, led.partition.partition, led.epoch}, led.node);
  }
  for (const auto& decides : history.fresh.decides) {
    history.controllers.try_emplace(decides.epoch, decides.node);
  }
  for (const auto& acknowledged : history.fresh.acknowledged) learn(history, acknowledged);
  for (const auto& consumed : history.fresh.consumed) learn(history, consumed);
  for (const auto& stored : history.fresh.stored) {
    PartitionFate& fate = history.partitions[stored.partition];
    for (const SeenRecord& record : stored.records) {
      note_seen(fate, record);
    }
  }
  history.fresh = {};
  return std::nullopt;
}

}  // namespace qlab::sim
