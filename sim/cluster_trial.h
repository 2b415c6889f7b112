#pragma once
// One seed: a whole cluster under load and faults for a while, then healed, and what came of it.

#include <cstdint>
#include <optional>
#include <string>

#include "common/clock.h"
#include "sim/cluster_reached.h"

namespace qlab::sim {

struct ClusterTrialOptions {
  std::string plane = "kraft";
  std::string replicator = "isr";
  Duration faults_for = std::chrono::seconds(20);    // Virtual time under faults; (0, 1 h].
  Duration healing_max = std::chrono::seconds(120);  // Virtual time to recover in; (0, 1 h].
  std::size_t trace_lines = 0;  // Of the end, for ClusterVerdict::recent_trace.
  std::string trace_file;       // Takes the whole trace; none when empty.

  // Errors: invalid, naming the option, its value and what is allowed.
  std::optional<std::string> validate() const;
};

struct ClusterVerdict {
  std::uint64_t seed = 0;
  std::optional<std::string> finding;  // What is wrong; nothing.
  std::uint64_t digest = 0;
  std::uint64_t events = 0;
  Duration virtual_time{};
  std::uint64_t controllers = 0;  // Epochs that had one.
  std::uint64_t leaderships = 0;  // Of partitions.
  std::uint64_t crashes = 0;
  std::uint64_t controller_crashes = 0;
  std::uint64_t operations = 0;  // Of clients, and how many had an answer without an error.
  std::uint64_t answered = 0;
  std::uint64_t topics_made = 0;
  std::uint64_t topics_deleted = 0;
  std::uint64_t acknowledged = 0;  // Records.
  std::uint64_t read = 0;          // Records.
  ClusterReached reached;
  std::string swarm;         // What was drawn, in words.
  std::string recent_trace;  // Only with a finding.

  std::string to_json() const;
};

// Every knob is drawn from the seed: nodes and roles, storage, timeouts, topics, and which faults
// strike how often. Requires: valid options.
ClusterVerdict run_cluster_trial(std::uint64_t seed, const ClusterTrialOptions& options);

// Runs the seed twice. Runs that differ are a finding of their own.
ClusterVerdict run_cluster_twice(std::uint64_t seed, const ClusterTrialOptions& options);

}  // namespace qlab::sim
