#pragma once
// The decision about a CreateTopics request, a bounded number of records at a time.
//
// Each topic is made whole or not at all, whatever its size: readers see it once its last partition
// is committed (metadata/image.h, forming), and if the controller is lost before, the next one
// removes what there is. Topics of one request are independent of each other.
//
// Source: KIP-631; Kafka refuses more than 10,000 partitions in a request instead (KAFKA-14996).

#include <set>
#include <vector>

#include "common/prng.h"
#include "controller/controller.h"
#include "controller/options.h"
#include "controller/placement.h"
#include "controller/topic_rules.h"
#include "metadata/image.h"

namespace qlab::controller {

class TopicMaker {
 public:
  TopicMaker(std::vector<NewTopic> topics, const ControllerOptions& options);

  // Decides on the next piece: about `records_max` records, and as many replicas, which are what it
  // costs the brokers. Changes nothing but where the request is.
  metadata::Records next(const metadata::Image& image, std::size_t records_max, Prng& random);
  bool done() const { return !current_ && position_ == topics_.size(); }

  // Every topic has an outcome of its own; those without an error are in the records.
  // Requires: done().
  std::vector<TopicOutcome> take_outcomes() { return std::move(outcomes_); }

 private:
  struct Current {
    TopicId id;
    PlacementRequest placement;  // Unless the topic brings its assignment.
    std::int32_t partitions = 0;
    std::int32_t made = 0;
  };

  std::optional<Refusal> check(const metadata::Image& image, const NewTopic& topic) const;
  std::optional<Refusal> begin(const metadata::Image& image, const NewTopic& topic, Prng& random);
  void put_topic(const NewTopic& topic, metadata::Records& records) const;
  void put_partition(const metadata::Image& image, const NewTopic& topic,
                     metadata::Records& records);
  void finish(const NewTopic& topic, std::optional<Refusal> wrong);

  std::vector<NewTopic> topics_;
  ControllerOptions options_;
  std::size_t position_ = 0;  // Of the topic that is being made or comes next.
  std::optional<Current> current_;
  std::set<std::string> seen_;
  std::int64_t partitions_total_ = 0;  // Of the topics that were begun.
  std::vector<TopicOutcome> outcomes_;
};

}  // namespace qlab::controller
