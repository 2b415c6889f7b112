#pragma once
// A decision about many partitions, a bounded number of records at a time.
//
// It goes through the topics that an index of the image named when it began, and looks at each
// partition as it is when its turn comes: what others decided meanwhile is not undone. Whoever
// leads next begins the walks anew that the image shows unfinished (walks_left).
//
// Source: KIP-631 has no bound here (all partitions of a broker in one batch of records).

#include <deque>
#include <functional>

#include "controller/election.h"
#include "controller/options.h"
#include "metadata/image.h"

namespace qlab::controller {

class PartitionWalk {
 public:
  // What a partition is to become. It reads the image that next() was given.
  using Plan = std::function<Partition(const metadata::Image& image, const metadata::Topic& topic,
                                       const Partition& partition)>;

  PartitionWalk(metadata::TopicCounts topics, Plan plan);
  // When it has been through those, it goes through these, with another plan.
  void and_then(metadata::TopicCounts topics, Plan plan);

  // Adds the changes of the next partitions, up to `records_max` of them; fewer when it has looked
  // at many. Changes nothing but where the walk is.
  void next(const metadata::Image& image, std::size_t records_max, metadata::Records& records);
  bool done() const { return passes_.empty(); }

 private:
  struct Pass {
    metadata::PersistentMap<TopicId, std::uint32_t>::Cursor topics;
    Plan plan;
  };
  std::deque<Pass> passes_;  // The first is under way.
  std::optional<TopicId> topic_;
  std::size_t partition_ = 0;  // Of topic_, which comes next.
};

// A broker may no longer be in sync nor lead: it was fenced, or (`lost_log`) came back as another
// process. What it leads comes first, since nobody can write to that.
PartitionWalk removal_walk(const metadata::Image& image, NodeId broker, bool lost_log,
                           const ControllerOptions& options);
// A broker is on its way out and leads nothing that another can lead (KIP-841).
PartitionWalk handover_walk(const metadata::Image& image, NodeId broker,
                            const ControllerOptions& options);
// Partitions without a leader get one where somebody may lead.
PartitionWalk leaderless_walk(const metadata::Image& image, const ControllerOptions& options);
// Partitions go back to their preferred leaders.
PartitionWalk preferred_walk(const metadata::Image& image, const ControllerOptions& options);

// What a controller before this one may have left undone.
std::vector<PartitionWalk> walks_left(const metadata::Image& image,
                                      const ControllerOptions& options);

// Are more partitions than the options allow led by another than the preferred replica?
bool is_imbalanced(const metadata::Image& image, const ControllerOptions& options);

}  // namespace qlab::controller
