#pragma once
// Copies from one leader: a loop of Kafka Fetch requests over one connection, for all partitions
// that follow it here.
//
// One request at a time, as Kafka's replica fetcher thread: the next request's offsets acknowledge
// what this one brought.
//
// Thread: the shard it was made on.

#include <functional>
#include <map>
#include <memory>
#include <vector>

#include "replication/isr_replicator.h"
#include "runtime/network.h"
#include "wire/kafka/fetch.h"

namespace qlab::replication {

class Fetcher {
 public:
  // The replicas that may follow; those that do are found out anew before each request.
  using Candidates = std::function<std::vector<std::shared_ptr<IsrReplicator>>()>;

  // Requires: `options` outlives it.
  Fetcher(runtime::Runtime& runtime, NodeId self, NodeId leader, const ReplicationOptions& options,
          Candidates candidates);

  void start();
  // Where the leader listens; another address ends the connection to the old one.
  void set_endpoint(runtime::Endpoint endpoint);
  // Partitions may have come or changed: look again, if nothing is under way.
  void wake() { woken_.notify_all(); }
  Task<void> stop();

 private:
  using Replica = std::shared_ptr<IsrReplicator>;
  struct Asked {
    Replica replica;
    LeaderEpoch leader_epoch;
  };
  using AskedMap = std::map<TopicPartition, Asked>;

  Task<void> run();
  Task<Result<void>> fetch_once(AskedMap asked, wire::FetchRequest request);
  wire::FetchRequest make_request(AskedMap& asked);
  Task<Result<Bytes>> exchange(Bytes frame);
  Task<Result<Bytes>> ask(Bytes frame);
  Task<void> take_all(AskedMap asked, wire::FetchResponse response);
  struct Batch;
  Task<void> take_one(std::shared_ptr<Batch> batch, Asked asked,
                      wire::FetchResponse::Partition answer);
  Task<Result<void>> act_on(Asked asked, wire::FetchResponse::Partition answer);

  runtime::Runtime& runtime_;
  const NodeId self_;
  const NodeId leader_;
  const ReplicationOptions& options_;
  Candidates candidates_;

  runtime::Endpoint endpoint_;
  std::unique_ptr<runtime::Stream> stream_;
  std::int32_t correlation_id_ = 0;
  std::map<TopicPartition, Time> paused_;  // After an error of its own, until then.
  bool stopped_ = false;
  runtime::Event woken_;
  runtime::Gate gate_;
};

}  // namespace qlab::replication
