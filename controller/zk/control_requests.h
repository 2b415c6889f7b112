#pragma once
// A zk controller's requests at a broker: LeaderAndIsr, UpdateMetadata and StopReplica.

#include <functional>

#include "controller/zk/metadata_cache.h"
#include "runtime/async.h"
#include "wire/kafka/leader_and_isr.h"

namespace qlab::controller {

using runtime::Task;

// Takes them one after the other, in the order in which they came: one that is sent again, as its
// answer was lost, must not have its first copy go on after what the controller has said since.
// Source: Kafka 3.9 has one request of a controller in flight (ControllerChannelManager), and reads
// the next one of a connection when it has answered the one before.
class ControlRequests {
 public:
  // Returns once the configs of these topics are known, as far as they can be.
  using Prepare = std::function<Task<void>(std::vector<wire::LeaderAndIsrRequest::TopicState>)>;

  ControlRequests(runtime::Runtime& runtime, MetadataCache& cache, Prepare prepare)
      : cache_(cache), prepare_(std::move(prepare)), turn_over_(runtime) {}

  // The answer. Errors: as MetadataCache::handle. Requires: MetadataCache::takes(api_key).
  Task<Result<Bytes>> take(std::int16_t api_key, Bytes body);

 private:
  // A log is opened with the configs of its topic.
  Task<Result<Bytes>> prepare_and_handle(std::int16_t api_key, Bytes body);

  MetadataCache& cache_;
  const Prepare prepare_;
  std::uint64_t turns_given_ = 0;
  std::uint64_t turns_over_ = 0;
  runtime::Event turn_over_;
};

}  // namespace qlab::controller
