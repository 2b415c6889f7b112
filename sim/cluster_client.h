#pragma once
// A client of a simulated cluster: it speaks the Kafka protocol over the simulated network, does
// one thing after the other, and writes into the history what it was told.
//
// It sends every record once, so that none may ever be there twice.

#include <map>

#include "runtime/async.h"
#include "sim/cluster_connections.h"
#include "sim/cluster_history.h"
#include "wire/kafka/errors.h"
#include "wire/kafka/fetch.h"
#include "wire/kafka/metadata.h"

namespace qlab::sim {

struct ClientOptions {
  std::vector<NodeId> brokers;
  Duration interval{};  // Between two operations, on average.
  std::int32_t partitions_max = 3;
  std::int16_t replicas_max = 3;
  double topic_chance = 0.1;  // That an operation creates or deletes topics.
  int number = 0;             // Of this client, from 0.
};

class ClusterClient {
 public:
  // Begins at once. Requires: `history` outlives it.
  ClusterClient(runtime::Runtime& runtime, ClusterHistory& history, ClientOptions options);

  // Called when topics are about to be created or deleted. May be empty.
  std::function<void()> on_change_of_topics;
  // Does nothing more of its own; what is under way goes on to its end.
  void rest() { resting_ = true; }
  bool is_resting() const { return resting_ && !busy_; }

  // Reads everything back once the cluster is healed: creates a topic, appends a record to every
  // partition of every topic that must be there, reads each of them from the start until that
  // record, and holds what was acknowledged against it. Requires: is_resting().
  void begin_reading_back();
  bool has_read_back() const { return read_back_; }
  // What it could not do so far, or what is wrong.
  const std::string& trouble() const { return trouble_; }
  // That what was acknowledged is not there. Nothing yet: as far as was read.
  const std::optional<std::string>& loss() const { return loss_; }

 private:
  using Metadata = wire::MetadataResponse;
  struct Known {
    NodeId leader = no_node;
    LeaderEpoch epoch = no_leader_epoch;
  };
  struct Fetched {
    Offset next;  // After the last record that was read.
    Offset watermark;
  };

  runtime::Task<void> run();
  runtime::Task<void> operate();
  runtime::Task<void> create_topic();
  runtime::Task<void> create_churn();
  runtime::Task<void> delete_topic(std::string name);
  runtime::Task<void> produce_somewhere();
  runtime::Task<void> fetch_somewhere();
  runtime::Task<Result<wire::KafkaError>> create(std::string name, std::int32_t partitions,
                                                 std::int16_t replicas);
  runtime::Task<Result<void>> refresh();
  runtime::Task<Result<Offset>> produce(TopicPartition partition);
  runtime::Task<Result<Fetched>> fetch(TopicPartition partition, Offset offset);
  Result<Fetched> take_fetched(const TopicPartition& partition,
                               const wire::FetchResponse::Partition& answer,
                               ClusterFresh::Consumed consumed, Offset asked);
  runtime::Task<void> read_back();
  runtime::Task<Result<void>> try_read_back();
  runtime::Task<Result<void>> read_back_partition(TopicPartition partition);
  NodeId any_broker();
  std::optional<TopicPartition> any_partition();
  Known& known(const TopicPartition& partition) { return known_[partition]; }
  void tell(std::string_view what, const std::string& where, std::string_view outcome);

  runtime::Runtime& runtime_;
  ClusterHistory& history_;
  const ClientOptions options_;
  Prng random_;
  ClusterConnections connections_;
  bool resting_ = false;
  bool busy_ = false;
  bool read_back_ = false;
  std::string trouble_;
  std::optional<std::string> loss_;
  std::uint64_t last_topic_ = 0;  // Made by this client.
  std::uint64_t last_value_ = 0;  // Produced by this client.
  std::map<TopicPartition, Known> known_;
  std::map<TopicPartition, Offset> positions_;
  std::set<TopicPartition> done_;  // Read back.
  runtime::Gate gate_;
};

}  // namespace qlab::sim
