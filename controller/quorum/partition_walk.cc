#include "controller/quorum/partition_walk.h"

#include "controller/config_rules.h"

namespace qlab::controller {
namespace {

using metadata::Image;
using metadata::Topic;

// A long look without a decision would hold up everybody else.
constexpr std::size_t looked_at_max = 20'000;

metadata::TopicCounts held_by(const Image& image, NodeId broker) {
  const auto at = image.index().held.find(broker);
  return at == image.index().held.end() ? metadata::TopicCounts{} : at->second;
}

metadata::TopicCounts led_by(const Image& image, NodeId broker) {
  const auto at = image.index().led.find(broker);
  return at == image.index().led.end() ? metadata::TopicCounts{} : at->second;
}

metadata::TopicCounts leaderless(const Image& image) {
  return led_by(image, no_node);
}

}  // namespace

PartitionWalk::PartitionWalk(metadata::TopicCounts topics, Plan plan) {
  and_then(std::move(topics), std::move(plan));
}

void PartitionWalk::and_then(metadata::TopicCounts topics, Plan plan) {
  using Cursor = metadata::PersistentMap<TopicId, std::uint32_t>::Cursor;
  passes_.push_back({Cursor(std::move(topics.topics)), std::move(plan)});
}

void PartitionWalk::next(const Image& image, std::size_t records_max, metadata::Records& records) {
  std::size_t looked_at = 0;
  while (!passes_.empty() && records.size() < records_max && looked_at < looked_at_max) {
    if (!topic_) {
      const TopicId* next = passes_.front().topics.next().first;
      if (next == nullptr) {
        passes_.pop_front();
        return;  // The next pass is to see what this one has decided.
      }
      topic_ = *next;
      partition_ = 0;
    }
    ++looked_at;
    const metadata::TopicPtr topic = image.any_topic(*topic_);
    if (topic == nullptr || partition_ >= topic->partitions.size()) {
      topic_.reset();
      continue;
    }
    const Partition& before = *topic->partitions[partition_];
    const PartitionIndex index{static_cast<std::int32_t>(partition_++)};
    auto change = metadata::change_between(topic->id, index, before,
                                           passes_.front().plan(image, *topic, before));
    if (change) records.emplace_back(std::move(*change));
  }
}

PartitionWalk removal_walk(const Image& image, NodeId broker, bool lost_log,
                           const ControllerOptions& options) {
  const PartitionWalk::Plan remove = [broker, lost_log, options](
                                         const Image& now, const Topic& topic, const Partition& p) {
    if (now.is_active(broker)) return p;  // It came back before its turn came.
    const ElectionRules rules = rules_of(now, topic, options);
    return lost_log ? without_log_of(p, broker, rules) : without(p, broker, rules);
  };
  PartitionWalk walk(led_by(image, broker),
                     [broker, remove](const Image& now, const Topic& topic, const Partition& p) {
                       return p.leader == broker ? remove(now, topic, p) : p;
                     });
  walk.and_then(held_by(image, broker), remove);
  return walk;
}

PartitionWalk handover_walk(const Image& image, NodeId broker, const ControllerOptions& options) {
  return {held_by(image, broker),
          [broker, options](const Image& now, const Topic& topic, const Partition& p) {
            ElectionRules rules = rules_of(now, topic, options);
            rules.unclean = false;
            Partition after = without(p, broker, rules);
            // Nobody else can lead: it stays until it is gone, for a leader on its way out is
            // better than none.
            return p.leader == broker && after.leader == no_node ? p : after;
          }};
}

PartitionWalk leaderless_walk(const Image& image, const ControllerOptions& options) {
  return {leaderless(image), [options](const Image& now, const Topic& topic, const Partition& p) {
            return p.leader == no_node ? with_leader(p, rules_of(now, topic, options)) : p;
          }};
}

PartitionWalk preferred_walk(const Image& image, const ControllerOptions& options) {
  return {image.index().not_preferred,
          [options](const Image& now, const Topic& topic, const Partition& p) {
            return with_preferred_leader(p, rules_of(now, topic, options)).value_or(p);
          }};
}

std::vector<PartitionWalk> walks_left(const Image& image, const ControllerOptions& options) {
  std::vector<PartitionWalk> walks;
  for (const auto& [id, broker] : image.brokers()) {
    const auto held = image.index().held.find(id);
    if (!broker.fenced || held == image.index().held.end() || held->second.total == 0) continue;
    walks.push_back(removal_walk(image, id, false, options));
  }
  if (!leaderless(image).topics.empty()) walks.push_back(leaderless_walk(image, options));
  return walks;
}

bool is_imbalanced(const Image& image, const ControllerOptions& options) {
  std::uint64_t partitions = 0;
  for (const auto& [leader, led] : image.index().led) partitions += led.total;
  return image.index().not_preferred.total * 100 >
         partitions * static_cast<std::uint64_t>(options.imbalance_percentage);
}

}  // namespace qlab::controller
