#include <array>
#include <cmath>
#include <string>
#include <vector>

#include <boost/test/unit_test.hpp>

#include "experiments/load/kafka_client.h"
#include "experiments/load/measurements.h"
#include "experiments/load/options.h"
#include "experiments/load/record_value.h"
#include "experiments/load/schedule.h"
#include "experiments/load/steady.h"

namespace qlab::experiments {
namespace {

constexpr std::int64_t kMs = 1'000'000;

Result<LoadOptions> parse(std::vector<std::string_view> more) {
  std::vector<std::string_view> words = {"produce", "--bootstrap", "a:1", "--output=/tmp/x"};
  words.insert(words.end(), more.begin(), more.end());
  return parse_options(words);
}

BOOST_AUTO_TEST_SUITE(load)

BOOST_AUTO_TEST_CASE(flags_are_read_in_both_spellings) {
  const auto options = parse({"--rate=250.5", "--arrivals", "poisson", "--warmup", "3", "--client",
                              "debug=msg", "--client=retry.backoff.ms=7"});
  BOOST_TEST_REQUIRE(options.has_value());
  BOOST_TEST(options->rate == 250.5);
  BOOST_CHECK(options->arrivals == Arrivals::poisson);
  BOOST_CHECK(options->warmup == Warmup::fixed);
  BOOST_TEST(options->warmup_s == 3);
  BOOST_TEST_REQUIRE(options->client.size() == 2);
  BOOST_TEST(options->client[1].first == "retry.backoff.ms");
  BOOST_TEST(options->client[1].second == "7");
}

BOOST_AUTO_TEST_CASE(a_wrong_flag_is_named_with_its_value_and_what_is_allowed) {
  struct Row {
    std::vector<std::string_view> words;
    std::string_view says;
  };
  for (const Row& row :
       {Row{{"--rate=-1"}, "--rate=-1: allowed is 0.01 to 10000000"},
        Row{{"--rate=nan"}, "--rate=nan: allowed is 0.01 to 10000000"},
        Row{{"--acks=2"}, "--acks=2: allowed is 0, 1, all"},
        Row{{"--acks=1"}, "--acks=1: idempotence=true allows only all"},
        Row{{"--speed=1"}, "--speed is not a flag of this mode; see --help"},
        Row{{"--rate"}, "--rate needs a value"}, Row{{"fast"}, "fast: flags begin with --"}}) {
    const auto options = parse(row.words);
    BOOST_TEST_REQUIRE(!options.has_value());
    BOOST_TEST(options.error().context == row.says);
  }
  BOOST_TEST(!parse_options(std::array<std::string_view, 1>{"consume"}).has_value());
}

BOOST_AUTO_TEST_CASE(the_defaults_that_help_prints_are_the_defaults) {
  const auto plain = parse({});
  const auto spelled = parse(
      {"--rate=1000", "--arrivals=constant", "--duration=10", "--warmup=steady", "--warmup-max=30",
       "--window-ms=100", "--producers=1", "--record-bytes=256", "--keys=0", "--acks=all",
       "--idempotence=true", "--message-timeout-ms=30000", "--in-flight-max=5", "--linger-ms=0",
       "--request-timeout-ms=5000", "--connect-timeout-ms=15000", "--seed=1"});
  BOOST_TEST_REQUIRE(plain.has_value());
  BOOST_TEST_REQUIRE(spelled.has_value());
  const auto all = [](const LoadOptions& o) {
    return fmt::format("{} {} {} {} {} {} {} {} {} {} {} {} {} {} {} {} {}", o.rate,
                       static_cast<int>(o.arrivals), o.duration_s, static_cast<int>(o.warmup),
                       o.warmup_max_s, o.window_ms, o.producers, o.record_bytes, o.keys, o.acks,
                       o.idempotence, o.message_timeout_ms, o.in_flight_max, o.linger_ms,
                       o.request_timeout_ms, o.connect_timeout_ms, o.seed);
  };
  BOOST_TEST(all(*plain) == all(*spelled));
}

BOOST_AUTO_TEST_CASE(a_constant_schedule_does_not_drift) {
  Schedule schedule(Arrivals::constant, 3, 1000, 1);
  std::int64_t last = 0;
  for (int i = 0; i <= 3'000'000; ++i) last = schedule.next();
  BOOST_TEST(std::abs(last - (1000 + 1'000'000 * 1000 * kMs)) <=
             1000);  // A microsecond in 11 days.
}

BOOST_AUTO_TEST_CASE(poisson_gaps_have_the_mean_and_the_spread_of_an_exponential) {
  Schedule schedule(Arrivals::poisson, 1000, 0, 42);
  std::int64_t before = 0;
  double sum = 0;
  double squares = 0;
  constexpr int kGaps = 100'000;
  for (int i = 0; i < kGaps; ++i) {
    const std::int64_t at = schedule.next();
    BOOST_REQUIRE(at >= before);
    const double gap = static_cast<double>(at - before) / 1e6;
    sum += gap;
    squares += gap * gap;
    before = at;
  }
  const double mean = sum / kGaps;
  BOOST_TEST(std::abs(mean - 1) < 0.02);
  BOOST_TEST(std::abs(std::sqrt(squares / kGaps - mean * mean) - 1) < 0.02);
}

BOOST_AUTO_TEST_CASE(a_value_comes_back_whole_or_not_at_all) {
  for (const std::size_t size : {24UL, 25UL, 100UL, 1000UL}) {
    Bytes bytes = encode_value({17, 123456789}, size);
    BOOST_TEST(bytes.size() == size);
    const auto back = decode_value(bytes);
    BOOST_TEST_REQUIRE(back.has_value());
    BOOST_TEST(back->number == 17);
    BOOST_TEST(back->intended_ns == 123456789);
    for (std::size_t i = 0; i < size; ++i) {
      bytes[i] ^= std::byte{1};
      BOOST_TEST(!decode_value(bytes).has_value());
      bytes[i] ^= std::byte{1};
    }
    BOOST_TEST(!decode_value(ByteView(bytes).first(size - 1)).has_value());
  }
}

BOOST_AUTO_TEST_CASE(a_warm_up_ends_when_latency_stops_moving_and_the_load_is_carried) {
  const auto intervals_until_steady = [](std::vector<WarmupInterval> intervals) {
    SteadyDetector detector;
    int count = 0;
    for (const WarmupInterval& interval : intervals) {
      ++count;
      if (detector.add(interval)) return count;
    }
    return 0;
  };
  BOOST_TEST(intervals_until_steady({{100, 100, 5}, {100, 100, 5}, {100, 100, 5}, {100, 100, 5}}) ==
             4);
  BOOST_TEST(intervals_until_steady(
                 {{100, 100, 50}, {100, 100, 5}, {100, 100, 5}, {100, 100, 5.5}, {100, 100, 5}}) ==
             5);
  BOOST_TEST(intervals_until_steady(
                 {{100, 80, 5}, {100, 80, 5}, {100, 80, 5}, {100, 80, 5}, {100, 80, 5}}) == 0);
  BOOST_TEST(intervals_until_steady({{100, 0, 0}, {100, 0, 0}, {100, 0, 0}, {100, 0, 0}}) == 0);
}

struct Measured {
  std::vector<std::string> rows;
  Measurements measurements{100 * kMs, 1000 * kMs,
                            [this](std::string_view row) { rows.emplace_back(row); }};
};

BOOST_AUTO_TEST_CASE(latency_counts_from_the_intended_time_and_failures_stay) {
  Measured m;
  m.measurements.measure_from(1000 * kMs);
  const Operation warm{1, 900 * kMs, 900 * kMs, 0, 0};
  const Operation late{2, 1000 * kMs, 1030 * kMs, 0, 0};
  const Operation lost{3, 1010 * kMs, 1010 * kMs, 0, 0};
  for (const Operation& operation : {warm, late, lost}) m.measurements.offered(operation);
  m.measurements.completed(warm, Outcome::ok, "", 901 * kMs);
  m.measurements.completed(late, Outcome::ok, "", 1050 * kMs);
  m.measurements.completed(lost, Outcome::info, "_MSG_TIMED_OUT", 6010 * kMs);
  m.measurements.delivered(1000 * kMs, 1060 * kMs);

  const auto close = [](std::int64_t ns, std::int64_t ms) { return std::abs(ns - ms * kMs) < kMs; };
  BOOST_TEST(m.measurements.all().offered == 3);
  BOOST_TEST(m.measurements.measured().offered == 2);
  BOOST_TEST(m.measurements.measured().of(Outcome::info) == 1);
  BOOST_TEST(m.measurements.measured().errors.at("_MSG_TIMED_OUT") == 1);
  BOOST_TEST(m.measurements.response().count() == 1);
  BOOST_TEST(close(m.measurements.response().max(), 50));
  BOOST_TEST(close(m.measurements.service().max(), 20));
  BOOST_TEST(close(m.measurements.lag().max(), 30));
  BOOST_TEST(close(m.measurements.end_to_end().max(), 60));
  BOOST_TEST(m.measurements.censored().max() >= 5000 * kMs);
}

BOOST_AUTO_TEST_CASE(a_window_is_written_once_nothing_more_can_fall_into_it) {
  Measured m;
  const Operation first{1, 0, 0, 0, 0};
  const Operation second{2, 150 * kMs, 150 * kMs, 0, 0};
  m.measurements.offered(first);
  m.measurements.offered(second);
  m.measurements.completed(first, Outcome::ok, "", 120 * kMs);
  m.measurements.close_windows(1099 * kMs);
  BOOST_TEST(m.rows.empty());
  m.measurements.close_windows(1100 * kMs);
  BOOST_TEST_REQUIRE(m.rows.size() == 1);
  BOOST_TEST(m.rows[0] ==
             R"({"t_ns":0,"offered":1,"ok":1,"fail":0,"info":0,"acked":0,"delivered":0,)"
             R"("p50_ms":120.0000,"p99_ms":120.0000,"max_ms":120.0000,)"
             R"("e2e_p50_ms":null,"e2e_max_ms":null})");
  m.measurements.close_windows(INT64_MAX);
  BOOST_TEST_REQUIRE(m.rows.size() == 2);
  BOOST_TEST(m.rows[1].find(R"("t_ns":100000000,"offered":1,"ok":0)") != std::string::npos);
  BOOST_TEST(m.rows[1].find(R"("acked":1)") != std::string::npos);
}

BOOST_AUTO_TEST_CASE(only_what_certainly_did_not_happen_is_a_failure) {
  constexpr auto kNot = RD_KAFKA_MSG_STATUS_NOT_PERSISTED;
  constexpr auto kMaybe = RD_KAFKA_MSG_STATUS_POSSIBLY_PERSISTED;
  BOOST_CHECK(outcome_of(RD_KAFKA_RESP_ERR_NO_ERROR, RD_KAFKA_MSG_STATUS_PERSISTED) == Outcome::ok);
  BOOST_CHECK(outcome_of(RD_KAFKA_RESP_ERR__MSG_TIMED_OUT, kNot) == Outcome::fail);
  BOOST_CHECK(outcome_of(RD_KAFKA_RESP_ERR__MSG_TIMED_OUT, kMaybe) == Outcome::info);
  BOOST_CHECK(outcome_of(RD_KAFKA_RESP_ERR_NOT_ENOUGH_REPLICAS, kNot) == Outcome::fail);
  BOOST_CHECK(outcome_of(RD_KAFKA_RESP_ERR_NOT_ENOUGH_REPLICAS_AFTER_APPEND, kNot) ==
              Outcome::info);
  // KAFKA-13574: a broker may append and then find that it no longer leads.
  BOOST_CHECK(outcome_of(RD_KAFKA_RESP_ERR_NOT_LEADER_FOR_PARTITION, kNot) == Outcome::info);
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace qlab::experiments
