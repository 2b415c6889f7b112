#pragma once
// One seed: a group under load and faults for a while, then healed, and what came of it.

#include <cstdint>
#include <optional>
#include <string>

#include "common/clock.h"

namespace qlab::sim {

struct TrialOptions {
  std::string module = "raft";
  std::string mutant = "none";
  bool model = false;                              // Hold every step against the protocol's model.
  Duration faults_for = std::chrono::seconds(20);  // Virtual time under faults; (0, 1 h].
  Duration healing_max = std::chrono::seconds(120);  // Virtual time to recover in; (0, 1 h].
  std::size_t trace_lines = 0;                       // Of the end, for Verdict::recent_trace.
  std::string trace_file;                            // Takes the whole trace; none when empty.

  // Errors: invalid, naming the option, its value and what is allowed.
  std::optional<std::string> validate() const;
};

struct Verdict {
  std::uint64_t seed = 0;
  std::optional<std::string> finding;  // What is wrong; nothing.
  std::uint64_t digest = 0;
  std::uint64_t events = 0;
  Duration virtual_time{};
  std::uint64_t leaders = 0;  // Epochs that had one.
  std::uint64_t crashes = 0;
  std::uint64_t wipes = 0;
  std::uint64_t proposed = 0;
  std::uint64_t committed = 0;
  std::uint64_t reads = 0;
  std::uint64_t images = 0;   // Installed from leaders.
  std::uint64_t configs = 0;  // That came into force, counted at each node.
  std::string swarm;          // What was drawn, in words.
  std::string recent_trace;   // Only with a finding.

  std::string to_json() const;
};

// Every knob is drawn from the seed: sizes, timeouts, delays, engine, and which faults strike how
// often. Requires: valid options.
Verdict run_trial(std::uint64_t seed, const TrialOptions& options);

// Runs the seed twice. Runs that differ are a finding of their own.
Verdict run_twice(std::uint64_t seed, const TrialOptions& options);

}  // namespace qlab::sim
