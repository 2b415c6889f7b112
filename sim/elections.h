#pragma once
// How long Raft takes to replace a leader, in the setting of Ongaro's dissertation, chapter 9, so
// that its figures can be held against the module.
//
// Five voters with equal logs; the network takes the same time for every message; a vote is on the
// disk at once; no pre-vote, no check-quorum, and a silent leader is all that is noticed. The
// leader sends a heartbeat every half of the least timeout to all at once, and is cut off at a
// moment that is uniform between two of them. Measured is the time until another has won its votes.

#include <cstdint>
#include <string>
#include <vector>

#include "common/clock.h"

namespace qlab::sim {

struct ElectionSetting {
  Duration timeout_min = std::chrono::milliseconds(150);
  Duration timeout_spread = std::chrono::milliseconds(150);
  Duration latency = std::chrono::microseconds(2500);  // One way.
};

// Ascending. Equal seeds give equal times.
std::vector<Duration> time_elections(const ElectionSetting& setting, std::size_t trials,
                                     std::uint64_t seed);

// E[E_s] of section 9.3 with a fixed latency l and nothing for the disk:
//   (base + spread / (s + 1) + l) / (1 - splits) + l - base / 4, where of s = 4 servers that are
//   left of n = 5 a vote is split when three time out within l:
//   splits = sum over k = 2..4 of binomial(4, k) (l / spread)^k (1 - l / spread)^(4 - k).
// It counts every vote as lost that the first candidate cannot win, so it holds for l well below
// the spread. Requires: latency < timeout_spread.
double expected_election_millis(const ElectionSetting& setting);

// Quantiles of a run and the closed form, for people.
std::string describe_elections(std::size_t trials, std::uint64_t seed);

}  // namespace qlab::sim
