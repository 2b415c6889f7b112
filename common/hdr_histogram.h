#pragma once
// A histogram of latencies with a bounded relative error, in the buckets and the bytes of
// HdrHistogram.
//
// Source: HdrHistogram by Gil Tene: its bucket layout, its V2 encoding, its percentile text; any of
// its tools can read what this writes. Values are integers in the caller's unit; this project
// records nanoseconds.

#include <cstdint>
#include <string>
#include <vector>

#include "common/bytes.h"
#include "common/result.h"

namespace qlab {

struct HdrHistogramOptions {
  std::int64_t value_min = 1000;  // Lowest discernible value; >= 1. Below it all is one.
  std::int64_t value_max = 3'600'000'000'000;  // Highest trackable value; >= 2 * value_min.
  int significant_digits = 3;                  // 1 to 5: relative error is at most 10^-digits.

  Result<void> validate() const;
};

class HdrHistogram {
 public:
  // Requires: options.validate() holds.
  explicit HdrHistogram(const HdrHistogramOptions& options = {});

  // Counts `value` `count` times. A value outside [0, value_max] is counted at the nearer end and
  // in saturated(), for an observation that is too large for the scale is still an observation.
  void record(std::int64_t value, std::int64_t count = 1);
  // Adds what `other` counted. Requires: the same options.
  void merge(const HdrHistogram& other);
  void reset();

  std::int64_t count() const { return total_; }
  std::int64_t saturated() const { return saturated_; }
  // 0 when nothing was counted. Exact to the bucket: the highest value that is equivalent to the
  // recorded one.
  std::int64_t max() const;
  std::int64_t min() const;  // The lowest value equivalent to the least recorded one.
  double mean() const;       // Of the buckets' middles.
  double deviation() const;  // Population standard deviation, of the buckets' middles.

  // The least value such that a share of at least `quantile` of what was counted is at or below it;
  // 0 when empty. Requires: 0 <= quantile <= 1.
  std::int64_t value_at(double quantile) const;

  // The compressed V2 encoding (zlib), and the same in base64 as it stands in a .hlog file.
  Bytes encode() const;
  std::string encode_base64() const;
  // The percentile distribution as text (.hgrm), five ticks per half distance; values are divided
  // by `unit`.
  std::string percentiles(double unit) const;

  // The ends of the bucket that holds `value`: what it cannot be told apart from.
  std::int64_t lowest_equivalent(std::int64_t value) const;
  std::int64_t highest_equivalent(std::int64_t value) const;

 private:
  struct Bucket {
    std::int64_t low = 0;   // The least value that falls into it.
    std::int64_t size = 1;  // How many values do.
  };

  std::size_t index_of(std::int64_t value) const;
  Bucket bucket_at(std::size_t index) const;
  Bytes encode_counts() const;

  HdrHistogramOptions options_;
  int unit_magnitude_ = 0;  // log2 of the resolution of the lowest bucket.
  int half_magnitude_ = 0;  // log2 of half the number of sub-buckets.
  std::size_t buckets_ = 0;
  std::vector<std::int64_t> counts_;
  std::int64_t total_ = 0;
  std::int64_t saturated_ = 0;
};

// Standard base64 with padding (RFC 4648 section 4).
std::string base64(ByteView bytes);

}  // namespace qlab
