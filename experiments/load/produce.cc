// Mode produce: producers, the consumer beside them, warm-up, measurement, and the wait for the
// last answers.

#include <algorithm>

#include <nlohmann/json.hpp>

#include "experiments/load/consumer.h"
#include "experiments/load/modes.h"
#include "experiments/load/producer.h"

namespace qlab::experiments {
namespace {

using std::chrono::milliseconds;

constexpr std::int64_t kSecond = 1'000'000'000;
constexpr std::int64_t kIntervalNs = kSecond / 2;  // Of the warm-up's steadiness test.

// Everything that is decided between the first send and the last, on the main thread.
class Conductor {
 public:
  Conductor(const LoadOptions& options, Recorder& recorder, StopSignals& signals)
      : options_(options), recorder_(recorder), signals_(signals), start_ns_(monotonic_ns()) {}

  // Returns when the time is over or a signal has come.
  void conduct() {
    std::int64_t next_interval_ns = start_ns_ + kIntervalNs;
    std::int64_t next_line_ns = start_ns_ + kSecond;
    while (!signals_.asked(milliseconds(50))) {
      const std::int64_t now_ns = monotonic_ns();
      if (now_ns >= next_interval_ns && measured_from_ns_ == 0) {
        next_interval_ns += kIntervalNs;
        consider_warmup(now_ns);
      }
      if (now_ns >= next_line_ns) {
        next_line_ns += kSecond;
        fmt::print(stderr, "{}\n", recorder_.progress_line());
        recorder_.flush();
      }
      if (measured_from_ns_ != 0 && options_.duration_s > 0 &&
          seconds_since(measured_from_ns_, now_ns) >= options_.duration_s) {
        return;
      }
    }
  }

  bool steady() const { return steady_; }
  std::int64_t start_ns() const { return start_ns_; }

 private:
  static double seconds_since(std::int64_t from_ns, std::int64_t now_ns) {
    return static_cast<double>(now_ns - from_ns) / 1e9;
  }

  void consider_warmup(std::int64_t now_ns) {
    const bool still = detector_.add(recorder_.take_interval());
    const double seconds = seconds_since(start_ns_, now_ns);
    if (seconds < options_.warmup_s) return;
    if (options_.warmup == Warmup::steady && !still && seconds < options_.warmup_max_s) return;
    steady_ = still;
    measured_from_ns_ = now_ns;
    recorder_.measure_from(now_ns);
    fmt::print("measuring t_ns={} steady={}\n", now_ns, steady_);
    std::fflush(stdout);
  }

  const LoadOptions& options_;
  Recorder& recorder_;
  StopSignals& signals_;
  const std::int64_t start_ns_;
  SteadyDetector detector_;
  std::int64_t measured_from_ns_ = 0;  // 0 while warming up.
  bool steady_ = false;
};

// Waits for the answers still missing; at most as long as the client itself tries, or until a
// second signal.
void wait_for_answers(const LoadOptions& options, const Recorder& recorder, StopSignals& signals) {
  const std::int64_t deadline_ns = monotonic_ns() + (options.message_timeout_ms + 1000) * 1'000'000;
  while (recorder.open_operations() > 0 && monotonic_ns() < deadline_ns && !signals.insisted()) {
    signals.asked(milliseconds(20));
  }
}

// Gives the consumer up to two seconds for what is acknowledged.
void wait_for_consumer(const Consumer& consumer, const Recorder& recorder, StopSignals& signals) {
  const std::int64_t deadline_ns = monotonic_ns() + 2 * kSecond;
  while (!consumer.has_read(recorder.acked_ends()) && monotonic_ns() < deadline_ns &&
         !signals.insisted()) {
    signals.asked(milliseconds(20));
  }
}

void start_all(const LoadOptions& options, const std::vector<std::unique_ptr<Producer>>& producers,
               std::int32_t partitions, std::int64_t start_ns, std::atomic<std::int64_t>& numbers) {
  const auto count = static_cast<std::int64_t>(producers.size());
  for (std::int64_t i = 0; i < count; ++i) {
    // Constant schedules are staggered, so that together they are one constant schedule.
    const double gap_ns = 1e9 / options.rate;
    const auto shift_ns = static_cast<std::int64_t>(gap_ns * static_cast<double>(i));
    const auto seed = static_cast<std::uint64_t>(options.seed * 1000 + i);
    producers[static_cast<std::size_t>(i)]->start(
        Schedule(options.arrivals, options.rate / static_cast<double>(count), start_ns + shift_ns,
                 seed),
        partitions, numbers);
  }
}

}  // namespace

Result<void> run_produce(const LoadOptions& options, StopSignals& signals) {
  Recorder recorder(options, "send");
  TRY_VOID(recorder.open());
  TRY_VOID(log_clients_to(std::filesystem::path(options.output) / "client.log"));

  std::vector<std::unique_ptr<Producer>> producers;
  for (int i = 0; i < options.producers; ++i) {
    TRY(auto producer, Producer::make(options, i, recorder));
    producers.push_back(std::move(producer));
  }
  TRY(const std::int32_t partitions, wait_for_topic(producers[0]->client(), options));
  std::unique_ptr<Consumer> consumer;
  if (options.consume) {
    TRY(consumer, Consumer::start(options, partitions, recorder));
  }

  std::atomic<std::int64_t> numbers = 0;
  Conductor conductor(options, recorder, signals);
  start_all(options, producers, partitions, conductor.start_ns(), numbers);
  conductor.conduct();

  for (const auto& producer : producers) producer->stop_sending();
  const std::int64_t offered_until_ns = monotonic_ns();
  wait_for_answers(options, recorder, signals);
  if (consumer) {
    wait_for_consumer(*consumer, recorder, signals);
    consumer->stop();
  }
  nlohmann::json facts = {{"mode", "produce"},
                          {"topic", options.topic},
                          {"partitions", partitions},
                          {"target_rate", options.rate},
                          {"steady", conductor.steady()},
                          {"offered_until_ns", offered_until_ns},
                          {"unanswered", recorder.open_operations()},
                          {"librdkafka", rd_kafka_version_str()}};
  TRY_VOID(recorder.finish(std::move(facts)));
  fmt::print(stderr, "{}\n", recorder.progress_line());
  return {};
}

}  // namespace qlab::experiments
