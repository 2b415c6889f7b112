// Deletions, resets, rolls, syncs and crashes that come close together.

#include "runtime/async.h"
#include "storage/checkpoint.h"
#include "storage/log_fixture.h"

namespace qlab::storage {
namespace {

// On the real world appends do not wait, so the deletion comes before the sealing that a roll
// began.
Task<Result<void>> roll_and_delete(Log& log) {
  for (int i = 0; i < 8; ++i) {
    CO_TRY_VOID(co_await log.append_as_leader(make_batch(1, 1000, 200), LeaderEpoch{0}));
  }
  co_return co_await log.delete_before(Offset{2});
}

BOOST_AUTO_TEST_SUITE(deletion_crash)

BOOST_AUTO_TEST_CASE(a_segment_that_is_sealed_after_a_deletion_does_not_bring_the_start_back) {
  for (TestSetup& setup : all_setups()) {
    if (!setup.engine->is_persistent()) continue;
    BOOST_TEST_CONTEXT(setup.name) {
      LogFixture fixture(std::move(setup));
      fixture.open();
      for (int i = 0; i < 8; ++i) {
        fixture.append(make_batch(1, 1000, 200));
        fixture.sync();
      }
      must(await(*fixture.setup().world, [&] { return roll_and_delete(fixture.log()); }));
      for (int i = 0; i < 3; ++i) {
        fixture.append(make_batch(1));
        fixture.sync();  // Meanwhile the segments are sealed.
      }
      const auto point = must(read_recovery_point(fixture.disk(), "topic-0"));
      BOOST_REQUIRE(point.has_value());
      BOOST_TEST(point->start.value() == 2);
    }
  }
}

runtime::FaultHook no_file_is_replaced() {
  return [](const runtime::DiskAccess& access) {
    runtime::DiskFault fault;
    if (access.operation == runtime::DiskOperation::replace) fault.error = EIO;
    return fault;
  };
}

BOOST_AUTO_TEST_CASE(a_recovery_that_ends_early_leaves_the_segment_that_the_recovery_point_names) {
  LogFixture fixture(make_setup(false, "buffered"));
  fixture.open();
  fixture.append(make_batch(2, 1000, 300));
  must(await(*fixture.setup().world, [&] { return fixture.log().delete_before(Offset{2}); }));
  // The next segment begins where the log does, and what seals the one before fails.
  fixture.setup().world->set_fault_hook(no_file_is_replaced());
  fixture.append(make_batch(1, 1000, 600));
  fixture.sync();
  fixture.kill();
  BOOST_TEST(number(code_of(fixture.try_open())) == number(Errc::io));
  fixture.setup().world->set_fault_hook({});
  fixture.open();
  BOOST_TEST(fixture.log().start().value() == 2);
  BOOST_TEST(fixture.log().end().value() == 3);
}

// A sync that is asked for while the reset takes the segments away.
Task<Result<Offset>> sync_during_reset(runtime::Runtime& runtime, Log& log) {
  runtime::Gate gate(runtime);
  gate.start([&log]() -> Task<void> {
    [[maybe_unused]] const Result<void> reset = co_await log.reset_to(Offset{100});
  });
  Result<Offset> synced = Offset{0};
  gate.start([&log, &synced]() -> Task<void> { synced = co_await log.sync(); });
  co_await gate.close();
  co_return synced;
}

BOOST_AUTO_TEST_CASE(a_sync_that_waits_for_a_reset_fails_with_it) {
  LogFixture fixture(make_setup(false, "buffered"));
  fixture.open();
  fixture.append(make_batch(2));
  fixture.setup().world->set_fault_hook([](const runtime::DiskAccess& access) {
    runtime::DiskFault fault;
    if (access.operation == runtime::DiskOperation::open) fault.error = EIO;
    return fault;
  });
  const auto synced = await(*fixture.setup().world, [&] {
    return sync_during_reset(fixture.setup().world->runtime(), fixture.log());
  });
  BOOST_TEST(number(code_of(synced)) == number(Errc::io));
  fixture.setup().world->set_fault_hook({});
  fixture.kill_and_reopen();
  BOOST_TEST(fixture.log().start().value() == 100);
}

BOOST_AUTO_TEST_CASE(a_full_segment_that_cannot_be_trimmed_is_still_read) {
  LogFixture fixture(make_setup(false, "direct"));
  fixture.open();
  fixture.setup().world->set_fault_hook([](const runtime::DiskAccess& access) {
    runtime::DiskFault fault;
    if (access.operation == runtime::DiskOperation::truncate) fault.error = EIO;
    return fault;
  });
  for (int i = 0; i < 12; ++i) {
    const auto appended = fixture.try_append(make_batch(1, 1000, 200));
    if (!appended) break;
    [[maybe_unused]] const auto synced =
        await(*fixture.setup().world, [&] { return fixture.log().sync(); });
  }
  BOOST_TEST(number(code_of(fixture.try_append(make_batch(1)))) == number(Errc::io));
  fixture.setup().world->set_fault_hook({});
  BOOST_TEST(must(fixture.read(0)).next.value() > 0);
  fixture.kill_and_reopen();
  BOOST_TEST(fixture.log().end().value() > 3);
}

BOOST_AUTO_TEST_CASE(a_torn_first_batch_of_a_new_log_is_named) {
  LogFixture fixture(make_setup(false, "buffered"));
  Bytes torn = make_batch(2, 1000, 100);
  torn.resize(torn.size() / 2);
  must(fixture.disk().make_directories("topic-0"));
  must(fixture.disk().write_file_atomically("topic-0/00000000000000000000.log", torn));
  fixture.open();
  BOOST_TEST(fixture.log().recovery().dropped.has_value());
  BOOST_TEST(fixture.log().recovery().bytes_truncated == torn.size());
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace qlab::storage
