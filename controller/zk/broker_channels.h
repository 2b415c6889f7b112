#pragma once
// One queue of control requests per broker, one request in flight, in order; a request that fails
// is sent again until the broker is gone.
//
// Source: Kafka 3.9, ControllerChannelManager, RequestSendThread.

#include <deque>
#include <functional>
#include <map>
#include <memory>

#include "controller/zk/options.h"
#include "runtime/async.h"
#include "wire/kafka/apis.h"

namespace qlab::controller {

using runtime::Task;

// Carries one control request (LeaderAndIsr, StopReplica, UpdateMetadata; ControlledShutdown to the
// active controller) to a node, and brings the response: both are bodies in the one version that we
// speak. Errors: any; it ends at the deadline at the latest, or when whoever gave it stops.
using Send =
    std::function<Task<Result<Bytes>>(NodeId node, wire::ApiKey api, Bytes request, Time deadline)>;

struct ControlRequest {
  wire::ApiKey api{};
  // Shared by the brokers that are told the same; the broker's epoch is put in its place as it is
  // sent.
  std::shared_ptr<const Bytes> body;
  std::function<void(ByteView response)> on_response;  // May be empty.
};

// The place of broker_epoch in the body of each control request: behind controller_id, the flag and
// the controller's epoch, in one order or another.
inline constexpr std::size_t broker_epoch_at = 9;

class BrokerChannels {
 public:
  // A broker that is so many requests behind gets no more until it registers anew.
  static constexpr std::size_t queue_requests_max = 100'000;

  // What it starts is joined by `gate`, which may outlive it.
  BrokerChannels(runtime::Runtime& runtime, const ZkOptions& options, Send send,
                 runtime::Gate& gate);
  ~BrokerChannels() { close(); }

  // After close() nothing: an event that was under way then may still come to it.
  void add(NodeId broker, BrokerEpoch epoch);
  // What waits is dropped; the answer to what is on its way is, too.
  void remove(NodeId broker);
  // Nobody hears anything any more.
  void close();
  bool has(NodeId broker) const { return channels_.contains(broker); }

  // Requires: has(broker).
  void push(NodeId broker, ControlRequest request);

  // Calls once all that is queued now or meanwhile has been answered, or dropped; at once when
  // nothing is queued.
  void when_drained(std::function<void()> call);
  // Returns then, or when it is due.
  Task<void> until_drained(Time due);

 private:
  struct Channel;
  static Task<void> run(std::shared_ptr<Channel> channel);
  void note_answered(std::size_t count);

  runtime::Runtime& runtime_;
  const ZkOptions& options_;
  const Send send_;
  runtime::Gate& gate_;
  std::size_t unanswered_ = 0;  // Requests that are queued.
  std::function<void()> drained_;
  std::shared_ptr<runtime::Event> answered_;  // Nothing is queued any more.
  std::map<NodeId, std::shared_ptr<Channel>> channels_;
  bool is_closed_ = false;
};

}  // namespace qlab::controller
