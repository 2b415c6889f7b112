#pragma once
// Where the threads of a run report what they did: keeps the open operations, the history and the
// measurements.

#include <cstdint>
#include <filesystem>
#include <mutex>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include <nlohmann/json_fwd.hpp>

#include "common/result.h"
#include "experiments/load/history.h"
#include "experiments/load/measurements.h"
#include "experiments/load/options.h"
#include "experiments/load/steady.h"

namespace qlab::experiments {

// A record that the consumer read; `number` is -1 when its value is not one of ours.
struct Delivery {
  std::int32_t partition = 0;
  std::int64_t offset = 0;
  std::int64_t number = -1;
  std::int64_t intended_ns = 0;
  std::int64_t read_ns = 0;
};

// Thread: every function may be called from any thread.
class Recorder {
 public:
  // `act` is the history's word for an operation: send, create_topic.
  Recorder(const LoadOptions& options, std::string act);

  // Makes the output directory and opens the files in it. Errors: io, exists (a result is there
  // already).
  Result<void> open();

  // Every operation is invoked once and completed once.
  void invoke(const Operation& operation);
  // Completes operation `number`; an unknown number (it was given up before) is ignored.
  void complete(std::int64_t number, Outcome outcome, std::int32_t partition, std::int64_t offset,
                std::string_view error);
  void deliver(const std::vector<Delivery>& deliveries);
  void consumer_error(std::string_view code);

  void measure_from(std::int64_t now_ns);
  // Offered and acked since the last call, with the median response of those acks.
  WarmupInterval take_interval();
  // The line that a person watching wants to see; rates are since the last call.
  std::string progress_line();
  // Emits finished windows and makes what was written survive a kill.
  void flush();

  std::int64_t open_operations() const;
  // The highest acked offset + 1 of every partition that acked anything: where a reader is done.
  std::vector<std::pair<std::int32_t, std::int64_t>> acked_ends() const;

  // Completes what is still open as info (`no_answer`) and writes latency.hlog, *.hgrm and
  // result.json with `facts`.
  //
  // Errors: io.
  Result<void> finish(nlohmann::json facts);

 private:
  // The history's line for `operation`; `extra` is appended inside its value.
  void write_line(const Operation& operation, std::string_view type, std::int64_t time_ns,
                  std::int32_t partition, std::string_view extra, std::string_view error);
  void complete_locked(const Operation& operation, Outcome outcome, std::int32_t partition,
                       std::int64_t offset, std::string_view error);
  Result<void> write_histograms() const;

  const LoadOptions options_;
  const std::string act_;
  const std::filesystem::path directory_;
  const std::int64_t started_ns_;

  mutable std::mutex mutex_;  // Guards all below.
  Measurements measurements_;
  GzipLines history_;
  GzipLines polls_;
  GzipLines windows_;
  std::int64_t index_ = 0;                                    // Of the next line of the history.
  std::unordered_map<std::int64_t, Operation> open_;          // By number.
  std::unordered_map<std::int32_t, std::int64_t> acked_end_;  // By partition.
  std::map<std::string, std::int64_t, std::less<>> consumer_errors_;
  std::int64_t measured_from_ns_ = 0;  // 0 until the warm-up is over.
  Counts progress_before_;
  std::int64_t progress_at_ns_;
  Counts interval_before_;
  std::vector<std::int64_t> interval_response_;  // Emptied by take_interval() and when measuring.
};

}  // namespace qlab::experiments
