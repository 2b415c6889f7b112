#pragma once
// One run of qlab-consensus-load: offers writes, and keeps what became of each.

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <unordered_map>
#include <vector>

#include "common/hdr_histogram.h"
#include "experiments/consensus_load/client.h"
#include "experiments/consensus_load/options.h"

namespace qlab::experiments {

// Thread: on_done from the clients' threads, the rest from the one that runs.
class ConsensusLoad {
 public:
  explicit ConsensusLoad(ConsensusLoadOptions options) : options_(std::move(options)) {}

  // Connects, warms up, measures, stops and writes the files.
  // Errors: what kept it from starting, or its files from being written.
  Result<void> run();

 private:
  struct Open {
    std::size_t connection = 0;
    std::int64_t intended_ns = 0;
    std::int64_t sent_ns = 0;
  };
  struct Answer {
    std::size_t connection = 0;
    std::int64_t intended_ns = 0;
    std::int64_t answered_ns = 0;
    WriteOutcome outcome = WriteOutcome::ok;
  };

  Result<void> connect();
  void send(std::size_t connection, std::int64_t intended_ns);
  void on_done(std::size_t connection, std::uint64_t number, WriteOutcome outcome,
               std::string_view error);
  void run_closed();
  void run_open();
  Result<void> write_files();

  const ConsensusLoadOptions options_;
  std::vector<std::unique_ptr<WriteClient>> clients_;
  std::atomic<bool> offering_{false};
  std::atomic<std::uint64_t> number_{0};

  std::mutex mutex_;                  // Guards all below.
  std::condition_variable answered_;  // Told of every answer after the last offer.
  std::int64_t measured_from_ns_ = INT64_MAX;
  std::int64_t measured_to_ns_ = INT64_MAX;
  std::unordered_map<std::uint64_t, Open> open_;
  std::int64_t offered_ = 0;       // Intended within what is measured.
  std::int64_t outcomes_[3] = {};  // Of those, by WriteOutcome.
  std::int64_t acked_ = 0;         // Answered ok within it, whenever intended.
  std::map<std::string, std::int64_t> errors_;
  HdrHistogram response_;  // From the intended time.
  HdrHistogram service_;   // From the hand-over to the client.
  std::vector<Answer> answers_;
};

}  // namespace qlab::experiments
