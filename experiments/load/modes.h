#pragma once
// The three things that qlab-load does. Each runs until it is done or a signal says stop, and
// leaves its files.

#include <chrono>
#include <csignal>

#include "common/result.h"
#include "experiments/load/options.h"

namespace qlab::experiments {

// SIGINT and SIGTERM, taken in turn by whoever waits; blocked for every thread that is started
// afterwards.
class StopSignals {
 public:
  StopSignals();

  // Waits up to `wait` for a signal; returns whether one has ever come.
  bool asked(std::chrono::milliseconds wait);
  // Whether a second one came: do not even wait for answers.
  bool insisted() const { return count_ > 1; }

 private:
  sigset_t set_;
  int count_ = 0;
};

// Errors of all: what kept the run from starting or its files from being written.
Result<void> run_produce(const LoadOptions& options, StopSignals& signals);
Result<void> run_read_all(const LoadOptions& options, StopSignals& signals);
Result<void> run_probe(const LoadOptions& options, StopSignals& signals);

}  // namespace qlab::experiments
