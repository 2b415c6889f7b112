#include "storage/bench/measurement.h"

#include <algorithm>
#include <cmath>

namespace qlab::storage::bench {

void Measurement::begin(Time time) {
  began_ = time;
}

void Measurement::end(Time time) {
  ended_ = time;
}

void Measurement::succeeded(Time due, Time sent, Time done, std::uint64_t bytes) {
  if (!began_) return;
  if (due >= *began_ && (!ended_ || due < *ended_)) {
    response_.record((done - due).count());
    service_.record((done - sent).count());
    lateness_.record((sent - due).count());
  }
  if (done < *began_ || (ended_ && done >= *ended_)) return;
  ++operations_;
  bytes_ += bytes;
  const auto index = static_cast<std::size_t>((done - *began_) / window);
  if (index >= windows_.size()) windows_.resize(index + 1);
  ++windows_[index];
}

void Measurement::failed(const Error& error) {
  if (!began_) return;
  if (errors_++ == 0) first_error_ = error.message();
}

void Measurement::merge(const Measurement& other) {
  response_.merge(other.response_);
  service_.merge(other.service_);
  lateness_.merge(other.lateness_);
  operations_ += other.operations_;
  bytes_ += other.bytes_;
  if (errors_ == 0) first_error_ = other.first_error_;
  errors_ += other.errors_;
  windows_.resize(std::max(windows_.size(), other.windows_.size()));
  for (std::size_t i = 0; i < other.windows_.size(); ++i) windows_[i] += other.windows_[i];
}

double Measurement::elapsed_s() const {
  if (!began_ || !ended_) return 0;
  return std::chrono::duration<double>(*ended_ - *began_).count();
}

bool Measurement::is_steady() const {
  constexpr std::size_t windows_min = 5;
  constexpr double range = 0.2;
  if (windows_.size() <= 2 * windows_min) return false;
  // The last window is cut short.
  std::vector<std::uint64_t> half(
      windows_.begin() + static_cast<std::ptrdiff_t>(windows_.size() / 2), windows_.end() - 1);
  std::sort(half.begin(), half.end());
  const auto median = static_cast<double>(half[half.size() / 2]);
  return std::all_of(half.begin(), half.end(), [&](std::uint64_t count) {
    return std::abs(static_cast<double>(count) - median) <= range * median;
  });
}

Json Measurement::to_json(bool open_loop) const {
  const double seconds = elapsed_s();
  const auto rate = [&](std::uint64_t count) {
    return seconds > 0 ? Json(static_cast<double>(count) / seconds) : Json(nullptr);
  };
  Json line = {{"operations", operations_},
               {"errors", errors_},
               {"first_error", errors_ > 0 ? Json(first_error_) : Json(nullptr)},
               {"elapsed_s", seconds},
               {"operations_per_s", rate(operations_)},
               {"bytes", bytes_},
               {"bytes_per_s", rate(bytes_)},
               {"steady", is_steady()},
               {"latency", bench::to_json(response_)}};
  if (open_loop) {
    line["service"] = bench::to_json(service_);
    line["lateness"] = bench::to_json(lateness_);
  }
  line["windows"] = {{"ms", std::chrono::duration_cast<WallMillis>(window).count()},
                     {"operations", windows_}};
  return line;
}

Json to_json(const HdrHistogram& histogram) {
  const auto micros = [](std::int64_t nanos) { return static_cast<double>(nanos) / 1e3; };
  return {{"count", histogram.count()},
          {"p50_us", micros(histogram.value_at(0.5))},
          {"p90_us", micros(histogram.value_at(0.9))},
          {"p99_us", micros(histogram.value_at(0.99))},
          {"p999_us", micros(histogram.value_at(0.999))},
          {"max_us", micros(histogram.max())},
          {"mean_us", histogram.mean() / 1e3},
          {"histogram", histogram.encode_base64()}};
}

}  // namespace qlab::storage::bench
