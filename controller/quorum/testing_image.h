#pragma once
// An image that grows by decisions, as the controller's does; for tests.

#include "controller/quorum/decisions.h"
#include "controller/quorum/topic_maker.h"

namespace qlab::controller {

inline Registration registration_of(std::int32_t id, std::uint64_t incarnation) {
  Registration registration;
  registration.broker = NodeId{id};
  registration.incarnation = Uuid{1, incarnation};
  registration.directory = DirectoryId{2, static_cast<std::uint64_t>(id)};
  registration.endpoint = {"localhost", 9092};
  return registration;
}

inline NewTopic topic_of(std::string name, std::int32_t partitions, std::int16_t factor) {
  NewTopic topic;
  topic.name = std::move(name);
  topic.partitions = partitions;
  topic.replication_factor = factor;
  return topic;
}

inline NewTopic assigned_topic(std::string name, std::vector<std::vector<NodeId>> assignment) {
  NewTopic topic = topic_of(std::move(name), -1, -1);
  topic.assignment = std::move(assignment);
  return topic;
}

struct TestingImage {
  metadata::Image image;
  Prng random{5};
  ControllerOptions options;
  std::int64_t last_index = 0;

  void replay(const metadata::Records& records) {
    metadata::Delta delta;
    image = image.replay(records, LogIndex{++last_index}, delta);
  }
  // To its end. Returns how many entries that took.
  int carry_out(LongDecision decision) {
    int count = 1;
    replay(decision.records);
    while (!decision.rest.done()) {
      metadata::Records records;
      decision.rest.next(image, options.records_per_entry, records);
      if (records.empty()) continue;
      replay(records);
      ++count;
    }
    return count;
  }
  void restart(std::int32_t id, std::uint64_t incarnation) {
    if (image.broker(NodeId{id}) != nullptr) carry_out(decide_farewell(image, NodeId{id}, options));
    replay(decide_registration(image, registration_of(id, incarnation), false)->records);
  }
  void bring_up(std::int32_t id) {
    restart(id, 1);
    unfence(id);
  }
  void fence(std::int32_t id) { carry_out(decide_fence(image, NodeId{id}, options)); }
  void unfence(std::int32_t id) { carry_out(decide_unfence(image, NodeId{id}, options)); }

  std::vector<TopicOutcome> create(std::vector<NewTopic> topics) {
    TopicMaker maker(std::move(topics), options);
    while (!maker.done()) replay(maker.next(image, records_per_entry_max, random));
    return maker.take_outcomes();
  }
  TopicOutcome create(NewTopic topic) { return create(std::vector{std::move(topic)}).front(); }
  const metadata::Partition& partition(const std::string& topic, std::size_t position = 0) {
    return *image.topic(topic)->partitions[position];
  }
};

}  // namespace qlab::controller
