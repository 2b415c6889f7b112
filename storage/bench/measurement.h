#pragma once
// What one run of operations adds up: latencies, counts, rate over time.

#include <optional>
#include <string>
#include <vector>

#include "common/clock.h"
#include "common/hdr_histogram.h"
#include "storage/bench/options.h"

namespace qlab::storage::bench {

// From a nanosecond, so that the floor (engine null) is seen, to 100 s.
inline constexpr HdrHistogramOptions latency_scale = {
    .value_min = 1, .value_max = 100'000'000'000, .significant_digits = 3};

class Measurement {
 public:
  static constexpr Duration window = std::chrono::milliseconds(100);

  // The interval that is measured. Latencies are those of the operations that were due in it,
  // whenever they end, or the slowest would be missing; `operations` and `bytes` are what was done
  // in it.
  // Either may lie in the future.
  void begin(Time time);
  void end(Time time);
  bool is_running() const { return began_.has_value() && !ended_.has_value(); }
  bool has_begun() const { return began_.has_value(); }
  Time began() const { return *began_; }

  // An operation that succeeded. `due` is when it should have been sent; in a closed loop that is
  // when it was.
  void succeeded(Time due, Time sent, Time done, std::uint64_t bytes);
  void failed(const Error& error);
  // Adds what `other` counted over the same interval.
  void merge(const Measurement& other);

  std::uint64_t operations() const { return operations_; }
  std::uint64_t bytes() const { return bytes_; }
  std::uint64_t errors() const { return errors_; }
  double elapsed_s() const;
  // No window of 100 ms in the second half differs from their median by more than a fifth in its
  // number of operations (the rule of SNIA's performance test specification: 20 % range). False
  // when there are fewer than five.
  bool is_steady() const;

  // Response: due to done. In an open loop also service (sent to done) and lateness (due to sent:
  // the queue of the program itself).
  const HdrHistogram& response() const { return response_; }
  const HdrHistogram& service() const { return service_; }
  const HdrHistogram& lateness() const { return lateness_; }

  Json to_json(bool open_loop) const;

 private:
  std::optional<Time> began_;
  std::optional<Time> ended_;
  HdrHistogram response_{latency_scale};
  HdrHistogram service_{latency_scale};
  HdrHistogram lateness_{latency_scale};
  std::uint64_t operations_ = 0;
  std::uint64_t bytes_ = 0;
  std::uint64_t errors_ = 0;
  std::string first_error_;
  std::vector<std::uint64_t> windows_;  // Operations done, by window.
};

// Percentiles in microseconds, count and the whole histogram.
Json to_json(const HdrHistogram& histogram);

}  // namespace qlab::storage::bench
