#pragma once
// A client of a simulated cluster: it speaks the Kafka protocol over the simulated network, does
// one thing after the other, and writes into the history what it was told.
//
// It sends every record once, so that none may ever be there twice; or, as an idempotent producer,
// again and again until it has an answer.

#include <map>

#include "runtime/async.h"
#include "sim/cluster_connections.h"
#include "sim/cluster_history.h"
#include "sim/cluster_producer.h"
#include "wire/kafka/errors.h"
#include "wire/kafka/fetch.h"
#include "wire/kafka/metadata.h"

namespace qlab::sim {

struct ClientOptions {
  std::vector<NodeId> brokers;
  Duration interval{};  // Between two operations, on average.
  std::int32_t partitions_max = 3;
  std::int16_t replicas_max = 3;
  std::int32_t churn_partitions_max = 8;  // Of a topic without data.
  double topic_chance = 0.1;              // That an operation creates or deletes topics.
  double admin_chance = 0;     // That it grows topics, moves partitions, elects, or sets configs.
  bool is_idempotent = false;  // Its producer is.
  bool has_sessions = false;   // It fetches in sessions.
  int number = 0;              // Of this client, from 0.
};

class ClusterClient {
 public:
  // Topics without data, whose names are used again and again.
  static constexpr int churn_names = 3;

  // Begins at once. Requires: `history` outlives it.
  ClusterClient(runtime::Runtime& runtime, ClusterHistory& history, ClientOptions options);

  // Called when the controller is about to be asked for something. May be empty.
  std::function<void()> on_change;
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
  // A fetch session with one broker, and what that was told of the partitions in it.
  struct Session {
    std::int32_t id = 0;  // 0: none.
    std::int32_t epoch = 0;
    std::map<TopicPartition, std::pair<Offset, LeaderEpoch>> told;
  };

  runtime::Task<void> run();
  runtime::Task<void> operate();
  runtime::Task<void> create_topic();
  runtime::Task<void> create_churn();
  runtime::Task<void> delete_topics(std::vector<std::string> names);
  runtime::Task<void> produce_somewhere();
  runtime::Task<void> fetch_somewhere();
  runtime::Task<Result<wire::KafkaError>> create(std::string name, std::int32_t partitions,
                                                 std::int16_t replicas);
  // What an administrator does (cluster_admin.cc).
  runtime::Task<void> administer();
  runtime::Task<void> grow(std::string name);
  runtime::Task<void> move_somewhere(TopicPartition partition);
  // No target: a move that is under way is cancelled.
  runtime::Task<void> move(TopicPartition partition, std::optional<std::vector<NodeId>> target);
  runtime::Task<void> elect(TopicPartition partition);
  runtime::Task<void> change_config(std::string name);
  std::vector<NodeId> some_brokers(std::int16_t count);
  TopicFate* fate_of(const std::string& topic);  // Null: it has no data.

  runtime::Task<Result<void>> refresh();
  runtime::Task<Result<void>> begin_producer();
  runtime::Task<Result<Offset>> produce(TopicPartition partition);
  runtime::Task<Result<Fetched>> fetch(TopicPartition partition, Offset offset);
  Result<Fetched> take_fetched(const TopicPartition& partition,
                               const wire::FetchResponse::Partition& answer,
                               ClusterFresh::Consumed consumed, Offset asked);
  // Fetches what is new in the session with the partition's leader, or begins one, in which it is
  // (cluster_session.cc).
  runtime::Task<Result<void>> fetch_in_session(TopicPartition about);
  wire::FetchRequest session_request(NodeId broker, const TopicPartition& about, Session& session);
  Result<void> take_session(const wire::FetchResponse& answer, Session& session,
                            const std::map<TopicPartition, Offset>& watermarks);
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
  ClusterProducer producer_;
  std::map<NodeId, Session> sessions_;
  std::set<TopicPartition> begun_;  // Reading back in a session from its start.
  std::set<TopicPartition> done_;   // Read back.
  runtime::Gate gate_;
};

}  // namespace qlab::sim
