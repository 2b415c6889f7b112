#pragma once
// What a server of a keeper is told. Names and defaults are ZooKeeper's where the thing is.

#include "common/clock.h"
#include "common/ids.h"

namespace qlab::keeper {

struct Options {
  NodeId id{0};
  Duration tick = std::chrono::milliseconds(2000);  // tickTime. Bounds: 10 ms to 60 s.
  // jute.maxbuffer: of a znode's path and data together. Bounds: 1 KiB to 1 MiB.
  std::size_t znode_bytes_max = 0xfffff;
  std::size_t connections_max = 10'000;
  // sync in `quorum` mode goes through the log, so that a leader that was deposed cannot answer it;
  // in ZooKeeper's mode the leader answers by what it knows.
  bool quorum_sync = false;
  Duration container_interval = std::chrono::seconds(60);  // znode.container.checkIntervalMs.

  // A session's timeout is what the client asks for, within 2 and 20 ticks.
  Duration session_min() const { return tick * 2; }
  Duration session_max() const { return tick * 20; }

  // Frames may be larger than znodes, for a multi has many; what is beyond closes the connection.
  static constexpr std::size_t frame_bytes_max = 4u << 20;
  static constexpr std::size_t open_requests_max = 1000;      // Of a connection; then it waits.
  static constexpr std::size_t open_bytes_max = 16u << 20;    // Likewise, of their frames.
  static constexpr std::size_t unsent_bytes_max = 64u << 20;  // A client that does not read goes.
  static constexpr std::size_t early_requests_max = 10'000;   // While the leader starts.
  static constexpr std::size_t uncommitted_bytes_max = 16u << 20;  // Decided and not applied.
};

}  // namespace qlab::keeper
