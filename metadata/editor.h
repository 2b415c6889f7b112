#pragma once
// Changes an image by states, where there are no records: a controller of ZooKeeper's design tells
// brokers what is, not what happened.
//
// Such an image has no index and knows no forming topics. A topic may have gaps: partitions that
// nobody has told of yet, or that are elsewhere, are there with no replicas.
//
// Thread: any; the image it began with stays as it was.

#include "metadata/image.h"

namespace qlab::metadata {

class Editor {
 public:
  // `delta` gathers what is touched, and outlives this.
  Editor(Image image, Delta& delta) : image_(std::move(image)), delta_(delta) {}

  void set_broker(Broker broker);
  // Makes the topic what it is to be called and who it is; one of this name with another id goes.
  void open_topic(TopicId id, const std::string& name);
  // Requires: the topic is open; 0 <= index < partitions_max.
  void set_partition(TopicId id, PartitionIndex index, std::shared_ptr<const Partition> partition);
  void clear_partition(TopicId id, PartitionIndex index);  // As if nobody had told of it.
  void set_configs(TopicId id, Configs configs);
  void set_broker_configs(NodeId id, Configs configs);
  void remove_topic(TopicId id);

  // The partition as it is by now; nullptr where nobody told of one.
  const Partition* partition(TopicId id, PartitionIndex index) const;

  // The image after all that. `at` is its offset, greater than that of the image before.
  Image finish(LogIndex at) &&;

  static constexpr std::int32_t partitions_max = 1 << 22;  // Of a topic; a guard, not a promise.

 private:
  struct Open {
    Topic topic;
    bool as_whole = false;  // Not only partitions that were there changed.
    std::set<PartitionIndex> changed = {};
  };

  Image image_;
  Delta& delta_;
  Edit edit_;
  std::map<TopicId, Open> open_;
};

// What stands in a gap. Has no replicas.
const std::shared_ptr<const Partition>& no_partition();

}  // namespace qlab::metadata
