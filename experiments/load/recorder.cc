#include "experiments/load/recorder.h"

#include <algorithm>
#include <ctime>
#include <fstream>

#include <nlohmann/json.hpp>

#include "experiments/load/schedule.h"

namespace qlab::experiments {
namespace {

using Json = nlohmann::json;

// A window may still get acks for as long as the client tries, and a little longer.
std::int64_t horizon_ns(const LoadOptions& options) {
  return (std::max(options.message_timeout_ms, options.request_timeout_ms) + 2000) * 1'000'000;
}

Json counts_json(const Counts& counts) {
  return {{"offered", counts.offered},        {"ok", counts.of(Outcome::ok)},
          {"fail", counts.of(Outcome::fail)}, {"info", counts.of(Outcome::info)},
          {"delivered", counts.delivered},    {"errors", counts.errors}};
}

Json quantiles_json(const HdrHistogram& histogram) {
  Json out = {{"count", histogram.count()}, {"saturated", histogram.saturated()}};
  if (histogram.count() == 0) return out;
  for (const auto& [name, quantile] :
       {std::pair{"p50", 0.5}, {"p90", 0.9}, {"p99", 0.99}, {"p999", 0.999}, {"max", 1.0}}) {
    out[name] = static_cast<double>(histogram.value_at(quantile)) / 1e6;
  }
  out["mean"] = histogram.mean() / 1e6;
  return out;
}

double wall_seconds() {
  timespec now{};
  clock_gettime(CLOCK_REALTIME, &now);
  return static_cast<double>(now.tv_sec) + static_cast<double>(now.tv_nsec) / 1e9;
}

Result<void> write_file(const std::filesystem::path& path, std::string_view text) {
  std::ofstream out(path, std::ios::binary);
  out << text;
  out.close();
  if (!out) return fail(Errc::io, "{} could not be written", path.string());
  return {};
}

}  // namespace

Recorder::Recorder(const LoadOptions& options, std::string act)
    : options_(options),
      act_(std::move(act)),
      directory_(options.output),
      started_ns_(monotonic_ns()),
      measurements_(options.window_ms * 1'000'000, horizon_ns(options),
                    [this](std::string_view row) { windows_.write(row); }),
      progress_at_ns_(started_ns_) {}

Result<void> Recorder::open() {
  std::error_code error;
  std::filesystem::create_directories(directory_, error);
  if (error) return fail(Errc::io, "--output={}: {}", directory_.string(), error.message());
  if (std::filesystem::exists(directory_ / "result.json")) {
    return fail(Errc::exists, "--output={}: holds a result.json already; choose another directory",
                directory_.string());
  }
  TRY_VOID(windows_.open(directory_ / "windows.jsonl.gz"));
  if (!options_.history) return {};
  TRY_VOID(history_.open(directory_ / "history.jsonl.gz"));
  if (options_.mode == Mode::produce) TRY_VOID(polls_.open(directory_ / "polls.jsonl.gz"));
  return {};
}

void Recorder::invoke(const Operation& operation) {
  const std::scoped_lock lock(mutex_);
  open_.emplace(operation.number, operation);
  measurements_.offered(operation);
  write_line(operation, "invoke", operation.sent_ns, operation.partition,
             fmt::format(R"(,"intended":{})", operation.intended_ns), "");
}

void Recorder::write_line(const Operation& operation, std::string_view type, std::int64_t time_ns,
                          std::int32_t partition, std::string_view extra, std::string_view error) {
  history_.write(fmt::format(R"({{"index":{},"time":{},"type":"{}","process":{},"f":"{}",)"
                             R"("value":{{"topic":"{}","partition":{},"id":{}{}}},"error":{}}})",
                             index_++, time_ns, type, operation.process, act_, options_.topic,
                             partition < 0 ? "null" : std::to_string(partition), operation.number,
                             extra, error.empty() ? "null" : fmt::format(R"("{}")", error)));
}

void Recorder::complete(std::int64_t number, Outcome outcome, std::int32_t partition,
                        std::int64_t offset, std::string_view error) {
  const std::scoped_lock lock(mutex_);
  const auto found = open_.find(number);
  if (found == open_.end()) return;
  const Operation operation = found->second;
  open_.erase(found);
  complete_locked(operation, outcome, partition, offset, error);
}

void Recorder::complete_locked(const Operation& operation, Outcome outcome, std::int32_t partition,
                               std::int64_t offset, std::string_view error) {
  const std::int64_t now_ns = monotonic_ns();
  measurements_.completed(operation, outcome, error, now_ns);
  write_line(operation, word_of(outcome), now_ns, partition,
             offset < 0 ? "" : fmt::format(R"(,"offset":{})", offset), error);
  if (outcome != Outcome::ok) return;
  if (measured_from_ns_ == 0) interval_response_.push_back(now_ns - operation.intended_ns);
  std::int64_t& end = acked_end_[partition];
  end = std::max(end, offset + 1);
}

void Recorder::deliver(const std::vector<Delivery>& deliveries) {
  const std::scoped_lock lock(mutex_);
  struct Lists {
    std::string offsets, ids;
  };
  std::map<std::int32_t, Lists> by_partition;
  for (const Delivery& d : deliveries) {
    Lists& lists = by_partition[d.partition];
    const char* comma = lists.ids.empty() ? "" : ",";
    lists.offsets += fmt::format("{}{}", comma, d.offset);
    lists.ids += comma + (d.number < 0 ? "null" : std::to_string(d.number));
    if (d.number >= 0) measurements_.delivered(d.intended_ns, d.read_ns);
  }
  const std::int64_t now_ns = monotonic_ns();
  for (const auto& [partition, lists] : by_partition) {
    polls_.write(fmt::format(R"({{"time":{},"partition":{},"offsets":[{}],"ids":[{}]}})", now_ns,
                             partition, lists.offsets, lists.ids));
  }
}

void Recorder::consumer_error(std::string_view code) {
  const std::scoped_lock lock(mutex_);
  ++consumer_errors_[std::string(code)];
}

void Recorder::measure_from(std::int64_t now_ns) {
  const std::scoped_lock lock(mutex_);
  measured_from_ns_ = now_ns;
  measurements_.measure_from(now_ns);
  interval_response_.clear();
}

WarmupInterval Recorder::take_interval() {
  const std::scoped_lock lock(mutex_);
  const Counts& now = measurements_.all();
  WarmupInterval interval{now.offered - interval_before_.offered,
                          now.of(Outcome::ok) - interval_before_.of(Outcome::ok), 0};
  if (!interval_response_.empty()) {
    const auto middle =
        interval_response_.begin() + static_cast<std::ptrdiff_t>(interval_response_.size() / 2);
    std::nth_element(interval_response_.begin(), middle, interval_response_.end());
    interval.median_ms = static_cast<double>(*middle) / 1e6;
  }
  interval_before_ = now;
  interval_response_.clear();
  return interval;
}

std::string Recorder::progress_line() {
  const std::scoped_lock lock(mutex_);
  const std::int64_t now_ns = monotonic_ns();
  const double seconds = static_cast<double>(now_ns - progress_at_ns_) / 1e9;
  const Counts& all = measurements_.all();
  const auto rate = [&](std::int64_t after, std::int64_t before) {
    return seconds > 0 ? static_cast<double>(after - before) / seconds : 0;
  };
  std::string line = fmt::format(
      "{:7.1f} s  {}  offered {:.0f}/s  ok {:.0f}/s  open {}  fail {}  info {}",
      static_cast<double>(now_ns - started_ns_) / 1e9,
      measured_from_ns_ == 0 ? "warm-up" : "measure", rate(all.offered, progress_before_.offered),
      rate(all.of(Outcome::ok), progress_before_.of(Outcome::ok)), open_.size(),
      all.of(Outcome::fail), all.of(Outcome::info));
  const HdrHistogram& response = measurements_.response();
  if (response.count() > 0) {
    line += fmt::format("  p50 {:.2f} ms  p99 {:.2f} ms",
                        static_cast<double>(response.value_at(0.5)) / 1e6,
                        static_cast<double>(response.value_at(0.99)) / 1e6);
  }
  progress_before_ = all;
  progress_at_ns_ = now_ns;
  return line;
}

void Recorder::flush() {
  const std::scoped_lock lock(mutex_);
  measurements_.close_windows(monotonic_ns());
  windows_.flush();
  history_.flush();
  polls_.flush();
}

std::int64_t Recorder::open_operations() const {
  const std::scoped_lock lock(mutex_);
  return static_cast<std::int64_t>(open_.size());
}

std::vector<std::pair<std::int32_t, std::int64_t>> Recorder::acked_ends() const {
  const std::scoped_lock lock(mutex_);
  return {acked_end_.begin(), acked_end_.end()};
}

Result<void> Recorder::write_histograms() const {
  const std::pair<const char*, const HdrHistogram*> all[] = {
      {"response", &measurements_.response()},
      {"service", &measurements_.service()},
      {"censored", &measurements_.censored()},
      {"end_to_end", &measurements_.end_to_end()},
      {"lag", &measurements_.lag()}};
  const double start = static_cast<double>(measured_from_ns_) / 1e9;
  const double length = static_cast<double>(monotonic_ns() - measured_from_ns_) / 1e9;
  std::string log = fmt::format(
      "#[qlab-load; values in nanoseconds, times in seconds of CLOCK_MONOTONIC]\n"
      "#[Histogram log format version 1.3]\n"
      "#[StartTime: {:.3f} (seconds), now]\n"
      "\"StartTimestamp\",\"Interval_Length\",\"Interval_Max\",\"Interval_Compressed_Histogram\"\n",
      start);
  for (const auto& [tag, histogram] : all) {
    log += fmt::format("Tag={},0.000,{:.3f},{:.3f},{}\n", tag, length,
                       static_cast<double>(histogram->max()) / 1e6, histogram->encode_base64());
    if (histogram->count() == 0) continue;
    TRY_VOID(write_file(directory_ / fmt::format("{}.hgrm", tag), histogram->percentiles(1e6)));
  }
  return write_file(directory_ / "latency.hlog", log);
}

Result<void> Recorder::finish(nlohmann::json facts) {
  const std::scoped_lock lock(mutex_);
  std::vector<Operation> unanswered;
  for (const auto& [number, operation] : open_) unanswered.push_back(operation);
  std::sort(unanswered.begin(), unanswered.end(),
            [](const Operation& a, const Operation& b) { return a.number < b.number; });
  open_.clear();
  for (const Operation& operation : unanswered) {
    complete_locked(operation, Outcome::info, operation.partition, -1, "no_answer");
  }
  measurements_.close_windows(INT64_MAX);
  TRY_VOID(windows_.close());
  TRY_VOID(history_.close());
  TRY_VOID(polls_.close());
  TRY_VOID(write_histograms());

  const std::int64_t ended_ns = monotonic_ns();
  Json result = std::move(facts);
  result["options"] = Json::object();
  for (const auto& [name, value] : options_.as_given) result["options"][name] = value;
  result["started_ns"] = started_ns_;
  result["ended_ns"] = ended_ns;
  result["ended_wall"] = wall_seconds();
  result["measured_from_ns"] = measured_from_ns_ == 0 ? Json() : Json(measured_from_ns_);
  result["all"] = counts_json(measurements_.all());
  result["measured"] = counts_json(measurements_.measured());
  result["consumer_errors"] = consumer_errors_;
  result["latency_ms"] = {{"response", quantiles_json(measurements_.response())},
                          {"service", quantiles_json(measurements_.service())},
                          {"censored", quantiles_json(measurements_.censored())},
                          {"end_to_end", quantiles_json(measurements_.end_to_end())},
                          {"lag", quantiles_json(measurements_.lag())}};
  // Rates are over the time in which operations were offered, not over the wait for the last
  // answers.
  const double offered_until = result.value("offered_until_ns", static_cast<double>(ended_ns));
  const double seconds = (offered_until - static_cast<double>(measured_from_ns_)) / 1e9;
  if (measured_from_ns_ != 0 && seconds > 0) {
    const Counts& measured = measurements_.measured();
    result["offered_rate"] = static_cast<double>(measured.offered) / seconds;
    result["achieved_rate"] = static_cast<double>(measured.of(Outcome::ok)) / seconds;
  }
  return write_file(directory_ / "result.json", result.dump(1) + "\n");
}

}  // namespace qlab::experiments
