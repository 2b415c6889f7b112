#pragma once
// What may be chosen about the zk controller. Names and defaults are Kafka's.

#include <vector>

#include "common/ids.h"
#include "controller/options.h"
#include "runtime/network.h"

namespace qlab::controller {

struct ZkOptions {
  NodeId self{0};
  std::vector<runtime::Endpoint> keepers;  // zookeeper.connect; not empty.
  Duration session_timeout =
      std::chrono::milliseconds(18000);  // zookeeper.session.timeout.ms, [100, 300000].
  bool competes = true;                  // For /controller: a node that is linked to all others.
  std::size_t in_flight = 10;            // zookeeper.max.in.flight.requests, [1, 1000].
  Duration retry_backoff = std::chrono::milliseconds(100);  // Of a control request.
  Duration request_timeout = std::chrono::seconds(30);      // controller.socket.timeout.ms
  // The most partitions that one control request tells of. Kafka's has no bound. Controller and
  // broker work on one in one go, and whoever else has work there waits.
  std::size_t partitions_per_request_max = 2'000;
  // Of a topic, or of several that came at once, so many new partitions get their znodes and are
  // told of before the next ones do. Brokers then have time to open them: for each copy but the
  // first, as long as the znodes took at most, which is about what brokers take longer than the
  // keeper. One that does not answer delays the others by no more.
  std::size_t partitions_born_at_once = 4'000;
  ControllerOptions controller;  // Its session_timeout is not used.
};

}  // namespace qlab::controller
