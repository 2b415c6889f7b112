#pragma once
// Copies from one leader: a loop of Kafka Fetch requests over one connection, for all partitions
// that follow it here.
//
// One request at a time, as Kafka's replica fetcher thread: the next request's offsets acknowledge
// what this one brought. Requests are those of a session (KIP-227): they name the partitions whose
// position has changed, and a partition that is idle costs nothing, here and at the leader. The
// leader holds a request that has nothing to bring. When there is another partition to ask for
// meanwhile, an empty request behind it ends that: whoever writes to the new partition waits for
// us.
//
// Thread: the shard it was made on. Source: KIP-227, KIP-595, KIP-903.

#include <map>
#include <memory>
#include <vector>

#include "replication/isr_replicator.h"
#include "runtime/network.h"
#include "wire/kafka/fetch.h"

namespace qlab::replication {

class Fetcher {
 public:
  using Replica = std::shared_ptr<IsrReplicator>;

  // Requires: `context` outlives it.
  Fetcher(runtime::Runtime& runtime, NodeId leader, const ReplicasContext& context);
  ~Fetcher();

  // No effect when it has been started.
  void start();
  // Where the leader listens; another address ends the connection to the old one.
  void set_endpoint(runtime::Endpoint endpoint);
  // Fetches for this replica from here on, for as long as it follows this leader.
  void follow(Replica replica);
  // Something may have changed: look again, and have a request under way answered if so.
  void wake();
  Task<void> stop();

  // How often a partition was looked at to make requests, so far.
  std::uint64_t looks() const { return looks_; }

 private:
  using Id = std::pair<TopicId, PartitionIndex>;
  struct Followed;
  struct Batch;

  Task<void> run();
  wire::FetchRequest make_request();
  void ask_for_all(wire::FetchRequest& request);
  void ask_for_changed(wire::FetchRequest& request);
  bool add(wire::FetchRequest& request, const Id& id, Followed& followed);
  void resume_paused();
  Task<Result<void>> fetch_once(wire::FetchRequest request);
  Result<void> go_on(const wire::FetchResponse& response);
  void begin_session_anew();
  Task<Result<Bytes>> exchange(Bytes frame);
  Task<Result<Bytes>> ask(Bytes frame);
  Task<Result<Bytes>> read_answer();
  bool is_more_to_ask() const;
  Task<void> hurry();
  Task<void> take_all(wire::FetchResponse response);
  Task<void> take_one(std::shared_ptr<Batch> batch, Id id, Replica replica,
                      LeaderEpoch leader_epoch, wire::FetchResponse::Partition answer);
  Task<Result<void>> act_on(Replica replica, LeaderEpoch leader_epoch,
                            wire::FetchResponse::Partition answer);
  void pause(const Id& id);
  BrokerEpoch broker_epoch() const;

  runtime::Runtime& runtime_;
  const NodeId leader_;
  const ReplicasContext& context_;
  const ReplicationOptions& options_;

  runtime::Endpoint endpoint_;
  std::unique_ptr<runtime::Stream> stream_;
  std::int32_t correlation_id_ = 0;
  std::int32_t session_id_ = 0;     // 0: none yet.
  std::int32_t session_epoch_ = 0;  // Of the next request; 0: it begins a session.
  std::map<Id, Followed> followed_;
  std::vector<Id> changed_;    // Of followed_, each once: to be looked at for the next request.
  std::map<Id, Time> paused_;  // After an error of its own, until then.
  std::uint64_t looks_ = 0;
  enum class Asking { nothing, answer_due, hurrying, hurried };
  Asking asking_ = Asking::nothing;
  bool started_ = false;
  bool stopped_ = false;
  runtime::Event woken_;
  runtime::Event hurried_;
  runtime::Gate gate_;
};

}  // namespace qlab::replication
