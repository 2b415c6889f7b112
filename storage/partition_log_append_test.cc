// Appends that overlap: one log, many callers.

#include "runtime/async.h"
#include "storage/kafka_files.h"
#include "storage/log_fixture.h"

namespace qlab::storage {
namespace {

constexpr std::size_t callers = 16;

// What became of each call, in call order.
using Outcomes = std::vector<Result<AppendResult>>;

Task<void> append_one(Log& log, Result<AppendResult>& outcome, std::int32_t epoch) {
  outcome = co_await log.append_as_leader(make_batch(2), LeaderEpoch{epoch});
}

Outcomes append_at_once(LogFixture& fixture, std::size_t refused = callers) {
  Outcomes outcomes(callers, Result<AppendResult>(AppendResult{}));
  fixture.setup().world->run([&]() -> Task<void> {
    runtime::Gate gate(fixture.setup().world->runtime());
    for (std::size_t i = 0; i < callers; ++i) {
      const std::int32_t epoch = i == refused ? 4 : 5;
      gate.start([&, i, epoch] { return append_one(fixture.log(), outcomes[i], epoch); });
    }
    co_await gate.close();
  });
  return outcomes;
}

// Counts the writes to data files.
struct WriteCount {
  explicit WriteCount(LogFixture& fixture) {
    fixture.setup().world->set_fault_hook([this](const runtime::DiskAccess& access) {
      const bool counts =
          access.operation == runtime::DiskOperation::write && access.path.ends_with(data_suffix);
      writes += counts ? 1 : 0;
      return runtime::DiskFault{.delay = {}, .error = counts && full ? ENOSPC : 0, .torn = 0};
    });
  }
  std::size_t writes = 0;
  bool full = false;
};

BOOST_AUTO_TEST_SUITE(overlapping_appends)

BOOST_AUTO_TEST_CASE(appends_that_come_together_go_in_one_write_and_in_call_order) {
  for (const std::string_view engine : {"buffered", "uring", "mmap"}) {
    LogFixture fixture(make_setup(false, engine), LogOptions{});
    fixture.open();
    WriteCount count(fixture);
    const Outcomes outcomes = append_at_once(fixture);
    BOOST_TEST(count.writes <= 2u);
    for (std::size_t i = 0; i < callers; ++i) {
      BOOST_TEST(must(outcomes[i]).base.value() == static_cast<std::int64_t>(2 * i));
    }
    BOOST_TEST(fixture.bases().size() == callers);
  }
}

BOOST_AUTO_TEST_CASE(appends_that_come_together_end_where_a_segment_does) {
  for (TestSetup& setup : all_setups()) {
    BOOST_TEST_CONTEXT(setup.name) {
      LogFixture fixture(std::move(setup));  // Segments of 1000 bytes.
      fixture.open();
      for (const auto& outcome : append_at_once(fixture)) must(outcome);
      BOOST_TEST(fixture.bases().size() == callers);
      BOOST_TEST(fixture.kill_and_reopen().end().value() == static_cast<std::int64_t>(2 * callers));
      if (!fixture.setup().engine->is_persistent()) continue;
      for (const std::string& name : fixture.files()) {
        if (!base_of_data_file(name)) continue;
        BOOST_TEST(must(fixture.disk().read_file("topic-0/" + name)).size() <= 1000u);
      }
    }
  }
}

BOOST_AUTO_TEST_CASE(one_that_is_refused_leaves_the_others_of_its_write_their_offsets) {
  LogFixture fixture(make_setup(false, "uring"), LogOptions{});
  fixture.open();
  fixture.append(make_batch(1), 5);
  const Outcomes outcomes = append_at_once(fixture, 7);
  std::int64_t next = 1;
  for (std::size_t i = 0; i < callers; ++i) {
    if (i == 7) {
      BOOST_TEST(number(code_of(outcomes[i])) == number(Errc::fenced));
    } else {
      BOOST_TEST(must(outcomes[i]).base.value() == next);
      next += 2;
    }
  }
  BOOST_TEST(fixture.log().end().value() == next);
}

BOOST_AUTO_TEST_CASE(a_full_disk_refuses_all_of_a_write_and_the_log_goes_on) {
  LogFixture fixture(make_setup(false, "uring"), LogOptions{});
  fixture.open();
  WriteCount count(fixture);
  count.full = true;
  for (const auto& outcome : append_at_once(fixture)) {
    BOOST_TEST(number(code_of(outcome)) == number(Errc::no_space));
  }
  BOOST_TEST(fixture.log().end().value() == 0);
  count.full = false;
  for (const auto& outcome : append_at_once(fixture)) must(outcome);
  BOOST_TEST(fixture.log().end().value() == static_cast<std::int64_t>(2 * callers));
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace qlab::storage
