#include "common/hdr_histogram.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>

#include <fmt/format.h>
#include <zlib.h>

#include "common/check.h"

namespace qlab {
namespace {

// The low byte 0x1. says that counts are ZigZag LEB128 words.
constexpr std::int32_t kCookie = 0x1c849303 | 0x10;
constexpr std::int32_t kCookieCompressed = 0x1c849304 | 0x10;

// How many bits `value` needs; std::bit_width with the type that the rest here counts in.
int width_of(std::uint64_t value) {
  return static_cast<int>(std::bit_width(value));
}

// LEB128 of 64 bits in at most nine bytes: the ninth holds eight bits, not seven, so it needs no
// tenth.
void put_leb128_9(BytesWriter& out, std::uint64_t value) {
  for (int i = 0; i < 8; ++i) {
    if (value < 0x80) return out.put(static_cast<std::uint8_t>(value));
    out.put(static_cast<std::uint8_t>(value | 0x80));
    value >>= 7;
  }
  out.put(static_cast<std::uint8_t>(value));
}

void put_zigzag(BytesWriter& out, std::int64_t value) {
  put_leb128_9(out,
               (static_cast<std::uint64_t>(value) << 1) ^ static_cast<std::uint64_t>(value >> 63));
}

}  // namespace

Result<void> HdrHistogramOptions::validate() const {
  if (value_min < 1) return fail(Errc::invalid, "value_min={} must be at least 1", value_min);
  if (value_max < 2 * value_min) {
    return fail(Errc::invalid, "value_max={} must be at least twice value_min={}", value_max,
                value_min);
  }
  if (significant_digits < 1 || significant_digits > 5) {
    return fail(Errc::invalid, "significant_digits={} must be 1 to 5", significant_digits);
  }
  return {};
}

HdrHistogram::HdrHistogram(const HdrHistogramOptions& options) : options_(options) {
  CHECK(options.validate().has_value());
  std::uint64_t resolution = 2;
  for (int i = 0; i < options.significant_digits; ++i) resolution *= 10;
  unit_magnitude_ = width_of(static_cast<std::uint64_t>(options.value_min)) - 1;
  half_magnitude_ = width_of(resolution - 1) - 1;  // ceil(log2(resolution)) - 1

  // Each further bucket doubles the range; half of its sub-buckets are new.
  const auto wanted = static_cast<std::uint64_t>(options.value_max);
  std::uint64_t untrackable = std::uint64_t{2} << (half_magnitude_ + unit_magnitude_);
  for (buckets_ = 1; untrackable <= wanted && !(untrackable >> 63); ++buckets_) untrackable <<= 1;
  counts_.resize((buckets_ + 1) << half_magnitude_);
}

std::size_t HdrHistogram::index_of(std::int64_t value) const {
  const auto bits = static_cast<std::uint64_t>(value);
  const std::uint64_t mask = ((std::uint64_t{2} << half_magnitude_) - 1) << unit_magnitude_;
  const int bucket = width_of(bits | mask) - (unit_magnitude_ + half_magnitude_ + 1);
  const std::size_t sub = bits >> (bucket + unit_magnitude_);
  return (static_cast<std::size_t>(bucket) << half_magnitude_) + sub;
}

HdrHistogram::Bucket HdrHistogram::bucket_at(std::size_t index) const {
  const std::size_t half = std::size_t{1} << half_magnitude_;
  const std::size_t ring = index >> half_magnitude_;
  const int shift = unit_magnitude_ + static_cast<int>(ring == 0 ? 0 : ring - 1);
  const std::size_t sub = ring == 0 ? index : (index & (half - 1)) + half;
  return {static_cast<std::int64_t>(static_cast<std::uint64_t>(sub) << shift),
          std::int64_t{1} << shift};
}

void HdrHistogram::record(std::int64_t value, std::int64_t count) {
  const std::int64_t kept = std::clamp<std::int64_t>(value, 0, options_.value_max);
  if (kept != value) saturated_ += count;
  counts_[index_of(kept)] += count;
  total_ += count;
}

void HdrHistogram::merge(const HdrHistogram& other) {
  CHECK(options_.value_min == other.options_.value_min);
  CHECK(options_.value_max == other.options_.value_max);
  CHECK(options_.significant_digits == other.options_.significant_digits);
  for (std::size_t i = 0; i < counts_.size(); ++i) counts_[i] += other.counts_[i];
  total_ += other.total_;
  saturated_ += other.saturated_;
}

void HdrHistogram::reset() {
  std::fill(counts_.begin(), counts_.end(), 0);
  total_ = 0;
  saturated_ = 0;
}

std::int64_t HdrHistogram::lowest_equivalent(std::int64_t value) const {
  return bucket_at(index_of(value)).low;
}

std::int64_t HdrHistogram::highest_equivalent(std::int64_t value) const {
  const Bucket bucket = bucket_at(index_of(value));
  return bucket.low + (bucket.size - 1);
}

std::int64_t HdrHistogram::max() const {
  for (std::size_t i = counts_.size(); i-- > 0;) {
    if (counts_[i] != 0) return bucket_at(i).low + (bucket_at(i).size - 1);
  }
  return 0;
}

std::int64_t HdrHistogram::min() const {
  for (std::size_t i = 0; i < counts_.size(); ++i) {
    if (counts_[i] != 0) return bucket_at(i).low;
  }
  return 0;
}

double HdrHistogram::mean() const {
  if (total_ == 0) return 0;
  double sum = 0;
  for (std::size_t i = 0; i < counts_.size(); ++i) {
    if (counts_[i] == 0) continue;
    const Bucket bucket = bucket_at(i);
    sum += static_cast<double>(counts_[i]) * static_cast<double>(bucket.low + bucket.size / 2);
  }
  return sum / static_cast<double>(total_);
}

double HdrHistogram::deviation() const {
  if (total_ == 0) return 0;
  const double centre = mean();
  double sum = 0;
  for (std::size_t i = 0; i < counts_.size(); ++i) {
    if (counts_[i] == 0) continue;
    const Bucket bucket = bucket_at(i);
    const double off = static_cast<double>(bucket.low + bucket.size / 2) - centre;
    sum += static_cast<double>(counts_[i]) * off * off;
  }
  return std::sqrt(sum / static_cast<double>(total_));
}

std::int64_t HdrHistogram::value_at(double quantile) const {
  CHECK(quantile >= 0);
  CHECK(quantile <= 1);
  // The product may land a hair above the integer it means, so it is rounded down by one part in
  // 10^12 first.
  const double exact = quantile * static_cast<double>(total_);
  const auto wanted =
      std::max<std::int64_t>(1, static_cast<std::int64_t>(std::ceil(exact * (1 - 1e-12))));
  std::int64_t seen = 0;
  for (std::size_t i = 0; i < counts_.size(); ++i) {
    seen += counts_[i];
    if (seen >= wanted) return bucket_at(i).low + (bucket_at(i).size - 1);
  }
  return 0;
}

Bytes HdrHistogram::encode_counts() const {
  BytesWriter out;
  const std::size_t end = total_ == 0 ? 0 : index_of(std::min(max(), options_.value_max)) + 1;
  for (std::size_t i = 0; i < end;) {
    if (counts_[i] != 0) {
      put_zigzag(out, counts_[i++]);
      continue;
    }
    std::int64_t zeros = 0;
    for (; i < end && counts_[i] == 0; ++i) ++zeros;
    put_zigzag(out, -zeros);  // A run of zeros is its negated length.
  }
  return out.take();
}

Bytes HdrHistogram::encode() const {
  const Bytes counts = encode_counts();
  BytesWriter plain;
  plain.put(kCookie);
  plain.put(static_cast<std::int32_t>(counts.size()));
  plain.put(std::int32_t{0});  // Normalising index offset: only a shifted double histogram has one.
  plain.put(static_cast<std::int32_t>(options_.significant_digits));
  plain.put(options_.value_min);
  plain.put(options_.value_max);
  plain.put(std::bit_cast<std::int64_t>(1.0));  // Integer to double conversion ratio.
  plain.put_bytes(counts);

  const ByteView input = plain.view();
  uLongf size = compressBound(input.size());
  Bytes packed(size);
  const int status = compress(reinterpret_cast<Bytef*>(packed.data()), &size,
                              reinterpret_cast<const Bytef*>(input.data()), input.size());
  CHECK(status == Z_OK);
  packed.resize(size);

  BytesWriter out;
  out.put(kCookieCompressed);
  out.put(static_cast<std::int32_t>(packed.size()));
  out.put_bytes(packed);
  return out.take();
}

std::string HdrHistogram::encode_base64() const {
  return base64(encode());
}

std::string HdrHistogram::percentiles(double unit) const {
  constexpr double kTicksPerHalfDistance = 5;
  std::string out = fmt::format("{:>12} {:>14} {:>10} {:>14}\n\n", "Value", "Percentile",
                                "TotalCount", "1/(1-Percentile)");
  double level = 0;  // The percentile that the next line is for, in [0, 100).
  std::int64_t seen = 0;
  for (std::size_t i = 0; i < counts_.size() && seen < total_; ++i) {
    if (counts_[i] == 0) continue;
    seen += counts_[i];
    const double value = static_cast<double>(bucket_at(i).low + (bucket_at(i).size - 1)) / unit;
    const double reached = 100.0 * static_cast<double>(seen) / static_cast<double>(total_);
    while (level <= reached) {
      out += fmt::format("{:12.3f} {:2.12f} {:10d} {:14.2f}\n", value, level / 100, seen,
                         100 / (100 - level));
      const double half_distance = std::exp2(std::floor(std::log2(100 / (100 - level))) + 1);
      level += 100 / (kTicksPerHalfDistance * half_distance);
      if (seen == total_) break;
    }
    if (seen == total_) out += fmt::format("{:12.3f} {:2.12f} {:10d}\n", value, 1.0, seen);
  }
  out += fmt::format("#[Mean    = {:12.3f}, StdDeviation   = {:12.3f}]\n", mean() / unit,
                     deviation() / unit);
  out += fmt::format("#[Max     = {:12.3f}, Total count    = {:12d}]\n",
                     static_cast<double>(max()) / unit, total_);
  out += fmt::format("#[Buckets = {:12d}, SubBuckets     = {:12d}]\n", buckets_,
                     std::size_t{2} << half_magnitude_);
  return out;
}

std::string base64(ByteView bytes) {
  constexpr std::string_view kAlphabet =
      "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::string out;
  out.reserve((bytes.size() + 2) / 3 * 4);
  for (std::size_t i = 0; i < bytes.size(); i += 3) {
    const std::size_t left = std::min<std::size_t>(3, bytes.size() - i);
    std::uint32_t group = 0;
    for (std::size_t k = 0; k < 3; ++k) {
      group = group << 8 | (k < left ? std::to_integer<std::uint32_t>(bytes[i + k]) : 0);
    }
    for (std::size_t k = 0; k < 4; ++k) {
      out += k <= left ? kAlphabet[group >> (18 - 6 * k) & 63] : '=';
    }
  }
  return out;
}

}  // namespace qlab
