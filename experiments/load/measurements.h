#pragma once
// What a run adds up: histograms after the warm-up, counts over all of it, and one row per window
// of time.

#include <array>
#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "common/hdr_histogram.h"

namespace qlab::experiments {

// ok: it happened. fail: it certainly did not. info: nobody knows.
enum class Outcome : std::uint8_t { ok, fail, info };
std::string_view word_of(Outcome outcome);

struct Operation {
  std::int64_t number = 0;       // Unique within a run.
  std::int64_t intended_ns = 0;  // When the schedule wanted it.
  std::int64_t sent_ns = 0;      // When the client was handed it; >= intended_ns.
  int process = 0;
  std::int32_t partition = -1;  // -1: the client chooses.
};

struct Counts {
  std::int64_t offered = 0;
  std::array<std::int64_t, 3> outcomes{};                   // By Outcome.
  std::int64_t delivered = 0;                               // Records that the consumer read.
  std::map<std::string, std::int64_t, std::less<>> errors;  // Code -> how many operations ended so.

  std::int64_t of(Outcome outcome) const { return outcomes[static_cast<std::size_t>(outcome)]; }
};

class Measurements {
 public:
  // Rows leave through `row`, in order of time, once nothing more can fall into them: `horizon_ns`
  // after their end.
  Measurements(std::int64_t window_ns, std::int64_t horizon_ns,
               std::function<void(std::string_view)> row);

  // Operations intended from `from_ns` on are measured; before it is called none is.
  void measure_from(std::int64_t from_ns) { measured_from_ns_ = from_ns; }
  void offered(const Operation& operation);
  void completed(const Operation& operation, Outcome outcome, std::string_view error,
                 std::int64_t now_ns);
  void delivered(std::int64_t intended_ns, std::int64_t now_ns);

  // Emits the rows of windows that are over by the horizon; with INT64_MAX all of them.
  void close_windows(std::int64_t now_ns);

  const Counts& all() const { return all_; }            // Warm-up included.
  const Counts& measured() const { return measured_; }  // By intended time.
  // All in nanoseconds and of measured operations only.
  const HdrHistogram& response() const { return response_; }  // Intended time to ack.
  const HdrHistogram& service() const { return service_; }    // Hand-over to the client to ack.
  const HdrHistogram& censored() const { return censored_; }  // Intended time to a fail or info.
  const HdrHistogram& end_to_end() const { return end_to_end_; }  // Intended time to the consumer.
  const HdrHistogram& lag() const {
    return lag_;
  }  // Intended time to hand-over: the generator's own.

 private:
  struct Window {
    Counts counts;           // By intended time.
    std::int64_t acked = 0;  // By the time of the ack.
    std::vector<std::int64_t> response;
    std::vector<std::int64_t> end_to_end;
  };

  bool measures(std::int64_t intended_ns) const { return intended_ns >= measured_from_ns_; }
  Window& window_of(std::int64_t at_ns) { return windows_[at_ns / window_ns_]; }
  std::string row_of(std::int64_t index, Window& window) const;

  std::int64_t window_ns_;
  std::int64_t horizon_ns_;
  std::function<void(std::string_view)> row_;
  std::int64_t measured_from_ns_ = INT64_MAX;
  std::map<std::int64_t, Window> windows_;  // Start / window_ns_ -> what fell into it.
  Counts all_;
  Counts measured_;
  HdrHistogram response_, service_, censored_, end_to_end_, lag_;
};

}  // namespace qlab::experiments
