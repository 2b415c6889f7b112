#include "experiments/consensus_load/load.h"

#include <chrono>
#include <filesystem>
#include <fstream>
#include <thread>

#include <nlohmann/json.hpp>

#include "experiments/load/schedule.h"

namespace qlab::experiments {
namespace {

constexpr std::chrono::milliseconds failed_pause{2};  // A closed loop that is refused.
constexpr std::chrono::seconds answers_patience{2};   // After the last write was offered.

std::int64_t nanoseconds(double seconds) {
  return static_cast<std::int64_t>(seconds * 1e9);
}

void sleep_until_ns(std::int64_t due) {
  const std::int64_t now = monotonic_ns();
  if (due > now) std::this_thread::sleep_for(std::chrono::nanoseconds(due - now));
}

nlohmann::json latency_of(const HdrHistogram& histogram) {
  const auto at = [&](double quantile) {
    return static_cast<double>(histogram.value_at(quantile)) / 1e3;
  };
  return {{"p50_us", at(0.5)},
          {"p99_us", at(0.99)},
          {"p999_us", at(0.999)},
          {"max_us", static_cast<double>(histogram.max()) / 1e3},
          {"mean_us", histogram.mean() / 1e3},
          {"histogram", histogram.encode_base64()}};
}

std::string_view word_of(WriteOutcome outcome) {
  return outcome == WriteOutcome::ok ? "ok" : outcome == WriteOutcome::fail ? "fail" : "info";
}

}  // namespace

Result<void> ConsensusLoad::run() {
  std::error_code error;
  std::filesystem::create_directories(options_.output, error);
  if (error) return fail(errno_error(error.value(), options_.output));
  TRY_VOID(connect());
  {
    const std::lock_guard lock(mutex_);
    measured_from_ns_ = monotonic_ns() + nanoseconds(options_.warmup_s);
    measured_to_ns_ = measured_from_ns_ + nanoseconds(options_.duration_s);
  }
  offering_ = true;
  if (options_.rate > 0) {
    run_open();
  } else {
    run_closed();
  }
  offering_ = false;
  {
    std::unique_lock lock(mutex_);
    answered_.wait_for(lock, answers_patience, [this] { return open_.empty(); });
  }
  for (const auto& client : clients_) client->stop();
  return write_files();
}

Result<void> ConsensusLoad::connect() {
  const auto make = options_.system == "ours"   ? make_our_client
                    : options_.system == "etcd" ? make_etcd_client
                                                : make_zookeeper_client;
  Bytes value(static_cast<std::size_t>(options_.bytes));
  for (std::size_t i = 0; i < value.size(); ++i) value[i] = static_cast<std::byte>(i * 131 + 7);
  for (std::size_t i = 0; i < static_cast<std::size_t>(options_.connections); ++i) {
    TRY(auto client, make(options_.endpoints[i % options_.endpoints.size()], value));
    TRY_VOID(
        client->start([this, i](std::uint64_t number, WriteOutcome outcome,
                                std::string_view words) { on_done(i, number, outcome, words); }));
    clients_.push_back(std::move(client));
  }
  return {};
}

void ConsensusLoad::send(std::size_t connection, std::int64_t intended_ns) {
  const std::uint64_t number = number_.fetch_add(1);
  {
    const std::lock_guard lock(mutex_);
    open_[number] = {connection, intended_ns, monotonic_ns()};
    if (intended_ns >= measured_from_ns_ && intended_ns < measured_to_ns_) ++offered_;
  }
  clients_[connection]->send(number);
}

void ConsensusLoad::on_done(std::size_t connection, std::uint64_t number, WriteOutcome outcome,
                            std::string_view error) {
  const std::int64_t now = monotonic_ns();
  {
    const std::lock_guard lock(mutex_);
    const auto found = open_.find(number);
    if (found == open_.end()) return;
    const Open open = found->second;
    open_.erase(found);
    const bool is_ok = outcome == WriteOutcome::ok;
    if (is_ok && now >= measured_from_ns_ && now < measured_to_ns_) ++acked_;
    if (open.intended_ns >= measured_from_ns_ && open.intended_ns < measured_to_ns_) {
      ++outcomes_[static_cast<std::size_t>(outcome)];
      if (is_ok) {
        response_.record(now - open.intended_ns);
        service_.record(now - open.sent_ns);
      } else {
        ++errors_[std::string(error)];
      }
    }
    if (options_.acks) answers_.push_back({connection, open.intended_ns, now, outcome});
  }
  if (!offering_) answered_.notify_one();
  if (options_.rate > 0 || !offering_) return;
  if (outcome != WriteOutcome::ok) std::this_thread::sleep_for(failed_pause);
  send(connection, monotonic_ns());
}

void ConsensusLoad::run_closed() {
  for (std::size_t i = 0; i < static_cast<std::size_t>(options_.window); ++i) {
    send(i % clients_.size(), monotonic_ns());
  }
  sleep_until_ns(measured_to_ns_);
}

void ConsensusLoad::run_open() {
  Schedule schedule(Arrivals::constant, options_.rate, monotonic_ns(), 1);
  for (std::size_t i = 0;; ++i) {
    const std::int64_t due = schedule.next();
    if (due >= measured_to_ns_) return;
    sleep_until_ns(due);
    send(i % clients_.size(), due);
  }
}

Result<void> ConsensusLoad::write_files() {
  const std::lock_guard lock(mutex_);
  std::int64_t unanswered = 0;
  for (const auto& [number, open] : open_) {
    if (open.intended_ns >= measured_from_ns_ && open.intended_ns < measured_to_ns_) ++unanswered;
    if (options_.acks)
      answers_.push_back({open.connection, open.intended_ns, 0, WriteOutcome::info});
  }
  if (unanswered > 0) errors_["no_answer"] += unanswered;
  nlohmann::json errors = nlohmann::json::object();
  for (const auto& [words, count] : errors_) errors[words.empty() ? "unnamed" : words] = count;
  const nlohmann::json result = {{"system", options_.system},
                                 {"endpoints", options_.endpoints},
                                 {"connections", options_.connections},
                                 {"window", options_.window},
                                 {"bytes", options_.bytes},
                                 {"rate", options_.rate},
                                 {"measured_from_ns", measured_from_ns_},
                                 {"measured_to_ns", measured_to_ns_},
                                 {"offered", offered_},
                                 {"ok", outcomes_[0]},
                                 {"fail", outcomes_[1]},
                                 {"info", outcomes_[2] + unanswered},
                                 {"errors", errors},
                                 {"acks_per_s", static_cast<double>(acked_) / options_.duration_s},
                                 {"response", latency_of(response_)},
                                 {"service", latency_of(service_)}};
  const std::filesystem::path directory(options_.output);
  if (options_.acks) {
    std::ofstream file(directory / "acks.csv");
    file << "connection,intended_ns,answered_ns,outcome\n";
    for (const Answer& answer : answers_) {
      file << answer.connection << ',' << answer.intended_ns << ',' << answer.answered_ns << ','
           << word_of(answer.outcome) << '\n';
    }
    if (!file) return fail(Errc::io, "{}/acks.csv cannot be written", options_.output);
  }
  std::ofstream file(directory / "result.json");
  file << result.dump(1) << '\n';
  file.close();
  if (!file) return fail(Errc::io, "{}/result.json cannot be written", options_.output);
  return {};
}

}  // namespace qlab::experiments
