#include "experiments/load/measurements.h"

#include <algorithm>
#include <cmath>

#include <fmt/format.h>

namespace qlab::experiments {
namespace {

// The nearest-rank quantile in milliseconds as JSON, null when there is no sample. Sorts its input.
std::string quantile_ms(std::vector<std::int64_t>& samples, double quantile) {
  if (samples.empty()) return "null";
  std::sort(samples.begin(), samples.end());
  const auto size = static_cast<double>(samples.size());
  const auto rank = static_cast<std::size_t>(std::max(1.0, std::ceil(quantile * size))) - 1;
  return fmt::format("{:.4f}", static_cast<double>(samples[rank]) / 1e6);
}

}  // namespace

std::string_view word_of(Outcome outcome) {
  switch (outcome) {
    case Outcome::ok:
      return "ok";
    case Outcome::fail:
      return "fail";
    case Outcome::info:
      return "info";
  }
  return "info";
}

Measurements::Measurements(std::int64_t window_ns, std::int64_t horizon_ns,
                           std::function<void(std::string_view)> row)
    : window_ns_(window_ns), horizon_ns_(horizon_ns), row_(std::move(row)) {}

void Measurements::offered(const Operation& operation) {
  ++all_.offered;
  ++window_of(operation.intended_ns).counts.offered;
  if (!measures(operation.intended_ns)) return;
  ++measured_.offered;
  lag_.record(operation.sent_ns - operation.intended_ns);
}

void Measurements::completed(const Operation& operation, Outcome outcome, std::string_view error,
                             std::int64_t now_ns) {
  const auto add = [&](Counts& counts) {
    ++counts.outcomes[static_cast<std::size_t>(outcome)];
    if (!error.empty()) ++counts.errors[std::string(error)];
  };
  const std::int64_t response_ns = now_ns - operation.intended_ns;
  Window& window = window_of(operation.intended_ns);
  add(all_);
  add(window.counts);
  if (outcome == Outcome::ok) {
    window.response.push_back(response_ns);
    ++window_of(now_ns).acked;
  }
  if (!measures(operation.intended_ns)) return;
  add(measured_);
  if (outcome == Outcome::ok) {
    response_.record(response_ns);
    service_.record(now_ns - operation.sent_ns);
  } else {
    censored_.record(response_ns);
  }
}

void Measurements::delivered(std::int64_t intended_ns, std::int64_t now_ns) {
  ++all_.delivered;
  Window& window = window_of(intended_ns);
  ++window.counts.delivered;
  window.end_to_end.push_back(now_ns - intended_ns);
  if (!measures(intended_ns)) return;
  ++measured_.delivered;
  end_to_end_.record(now_ns - intended_ns);
}

void Measurements::close_windows(std::int64_t now_ns) {
  while (!windows_.empty()) {
    const auto first = windows_.begin();
    if ((first->first + 1) * window_ns_ > now_ns - horizon_ns_) return;
    row_(row_of(first->first, first->second));
    windows_.erase(first);
  }
}

std::string Measurements::row_of(std::int64_t index, Window& window) const {
  const Counts& counts = window.counts;
  return fmt::format(
      R"({{"t_ns":{},"offered":{},"ok":{},"fail":{},"info":{},"acked":{},"delivered":{},)"
      R"("p50_ms":{},"p99_ms":{},"max_ms":{},"e2e_p50_ms":{},"e2e_max_ms":{}}})",
      index * window_ns_, counts.offered, counts.of(Outcome::ok), counts.of(Outcome::fail),
      counts.of(Outcome::info), window.acked, counts.delivered, quantile_ms(window.response, 0.5),
      quantile_ms(window.response, 0.99), quantile_ms(window.response, 1),
      quantile_ms(window.end_to_end, 0.5), quantile_ms(window.end_to_end, 1));
}

}  // namespace qlab::experiments
