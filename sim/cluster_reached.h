#pragma once
// What simulated clusters have come through, counted: what no seed reaches is not tested.

#include <cstdint>
#include <string>

namespace qlab::sim {

struct ClusterReached {
  std::uint64_t topics_grown = 0;     // CreatePartitions that were acknowledged.
  std::uint64_t moves_begun = 0;      // Reassignments of partitions that were acknowledged.
  std::uint64_t moves_completed = 0;  // As images show.
  std::uint64_t moves_cancelled = 0;
  std::uint64_t elections = 0;        // Of partitions, asked for by a client.
  std::uint64_t configs_changed = 0;  // Changes that were acknowledged.
  // What a controller has found half done when it became active: topics without all of their
  // partitions, partitions that a fenced broker leads, partitions on the move.
  std::uint64_t creations_inherited = 0;
  std::uint64_t fencings_inherited = 0;
  std::uint64_t moves_inherited = 0;
  std::uint64_t batches_resent = 0;   // By idempotent producers, and acknowledged then.
  std::uint64_t session_fetches = 0;  // Incremental ones.

  ClusterReached& operator+=(const ClusterReached& other);
  std::string words() const;
  std::string to_json() const;  // The members of an object.
};

}  // namespace qlab::sim
