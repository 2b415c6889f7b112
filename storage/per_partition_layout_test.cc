// Many logs in one layout: clean and unclean starts, descriptors, group flushes.

#include "storage/per_partition_layout.h"

#include <algorithm>
#include <cerrno>
#include <limits>

#include "runtime/async.h"
#include "storage/logs_fixture.h"

namespace qlab::storage {
namespace {

BOOST_AUTO_TEST_SUITE(per_partition_layout)

BOOST_AUTO_TEST_CASE(a_clean_start_opens_logs_without_a_look_at_their_directories) {
  for (const std::string_view engine : engine_names()) {
    if (engine == "memory" || engine == "null") continue;
    BOOST_TEST_CONTEXT("engine " << engine) {
      Logs logs({}, engine);
      logs.start();
      logs.open(3);
      for (int i = 0; i < 60; ++i) logs.append(i % 2, 2, 1000 + i);
      logs.restart();
      logs.count();
      logs.open(3);
      BOOST_TEST(logs.counted_in_partitions() == 0u);
      BOOST_TEST(logs.log(0).end().value() == 60);
      BOOST_TEST(logs.log(0).durable_end().value() == 60);
      BOOST_TEST(logs.log(2).end().value() == 0);
      BOOST_TEST(logs.log(0).recovery().clean);
      const LayoutRecovery recovery = logs.layout().recovery();
      BOOST_TEST(recovery.logs == 3u);
      BOOST_TEST(recovery.clean == 3u);
      BOOST_TEST(recovery.bytes_scanned == 0u);

      BOOST_TEST(must(logs.read(0, 31)).next.value() > 31);
      logs.append(0);
      logs.append(2);
      BOOST_TEST(logs.log(0).end().value() == 62);
      const auto found =
          must(await(logs.world, [&] { return logs.log(1).find_timestamp(1021, Offset{1000}); }));
      BOOST_REQUIRE(found.has_value());
      BOOST_TEST(found->offset.value() == 20);
      logs.restart();
      logs.open(3);
      BOOST_TEST(logs.log(0).end().value() == 62);
      BOOST_TEST(logs.log(2).end().value() == 2);
    }
  }
}

BOOST_AUTO_TEST_CASE(a_log_that_nobody_wrote_to_costs_nothing_to_close) {
  Logs logs;
  logs.start();
  logs.open(2);
  logs.append(0);
  logs.restart();
  logs.open(2);
  logs.count();
  logs.stop();
  BOOST_TEST(logs.counted_in_partitions() == 0u);
}

BOOST_AUTO_TEST_CASE(what_a_clean_stop_left_is_believed_once) {
  Logs logs;
  logs.start();
  logs.open(2);
  logs.append(0);
  logs.restart();
  logs.open(2);
  logs.append(0);
  (void)must(logs.sync(0));
  logs.kill();
  logs.start();
  logs.open(2);
  BOOST_TEST(logs.log(0).end().value() == 4);
  BOOST_TEST(!logs.log(0).recovery().clean);
  BOOST_TEST(logs.layout().recovery().unclean == 1u);
}

// What is not opened in a life may be opened by another shard, or be deleted.
BOOST_AUTO_TEST_CASE(what_was_known_of_a_log_that_was_not_opened_is_forgotten) {
  Logs logs;
  logs.start();
  logs.open(2);
  logs.append(1);
  logs.restart();
  logs.open(1);
  logs.restart();
  logs.open(2);
  BOOST_TEST(logs.log(0).recovery().clean);
  BOOST_TEST(!logs.log(1).recovery().clean);
  BOOST_TEST(logs.log(1).end().value() == 2);
}

BOOST_AUTO_TEST_CASE(another_number_of_shards_makes_every_start_unclean) {
  Logs logs;
  logs.start();
  logs.open(1);
  logs.append(0);
  logs.stop();
  logs.set_layout_options({.shard = 0, .shard_count = 2});
  logs.kill();
  logs.start();
  logs.open(1);
  BOOST_TEST(!logs.log(0).recovery().clean);
  logs.append(0);
  logs.set_layout_options({});
  logs.kill();
  logs.start();
  logs.open(1);
  BOOST_TEST(!logs.log(0).recovery().clean);
  BOOST_TEST(logs.log(0).end().value() == 4);
}

BOOST_AUTO_TEST_CASE(a_file_of_closed_logs_that_does_not_decode_is_no_help_and_no_harm) {
  Logs logs;
  logs.start();
  logs.open(1);
  logs.append(0);
  logs.stop();
  Bytes bytes = must(logs.world.disk().read_file("closed-logs/0-of-1"));
  bytes.at(bytes.size() / 2) ^= std::byte{1};
  must(logs.world.disk().write_file_atomically("closed-logs/0-of-1", bytes));
  logs.kill();
  logs.start();
  logs.open(1);
  BOOST_TEST(!logs.log(0).recovery().clean);
  BOOST_TEST(logs.log(0).end().value() == 2);
  BOOST_TEST(!must(logs.world.disk().exists("closed-logs/0-of-1")));
}

BOOST_AUTO_TEST_CASE(a_log_of_a_deleted_topic_is_not_taken_for_its_namesake) {
  Logs logs;
  logs.start();
  must(logs.try_open(0, 1));
  logs.append(0);
  logs.restart();
  must(logs.try_open(0, 2));
  BOOST_TEST(logs.log(0).end().value() == 0);
}

BOOST_AUTO_TEST_CASE(
    a_data_file_that_was_changed_after_a_clean_stop_is_corruption_when_it_is_read) {
  Logs logs;
  logs.start();
  logs.open(1);
  logs.append(0);
  logs.stop();
  const std::string path = "t-0/00000000000000000000.log";
  Bytes bytes = must(logs.world.disk().read_file(path));
  bytes.pop_back();
  must(logs.world.disk().write_file_atomically(path, bytes));
  logs.kill();
  logs.start();
  logs.open(1);
  BOOST_TEST((code_of(logs.read(0, 0)) == Errc::corrupt));
}

BOOST_AUTO_TEST_CASE(hundreds_of_logs_do_with_sixteen_open_files) {
  Logs logs({.open_files_max = 16});
  logs.start();
  logs.open(300);
  for (int round = 0; round < 3; ++round) {
    for (int i = 0; i < 300; ++i) logs.append(i);
  }
  for (int i = 0; i < 300; ++i) BOOST_TEST(must(logs.sync(i)).value() == 6);
  logs.cut_power();
  logs.start();
  logs.open(300);
  for (int i = 0; i < 300; ++i) BOOST_TEST(logs.log(i).end().value() == 6);
  BOOST_TEST(logs.layout().recovery().unclean == 300u);
}

BOOST_AUTO_TEST_CASE(a_group_flush_makes_all_dirty_logs_durable_within_the_interval) {
  for (const GroupSync mode : {GroupSync::files, GroupSync::filesystem}) {
    Logs logs({.group_sync = mode});
    logs.log_options.durability = Durability::group;
    logs.log_options.group_interval = std::chrono::milliseconds(5);
    logs.start();
    logs.open(100);
    logs.count();
    for (int i = 0; i < 100; ++i) logs.append(i);
    logs.pass(std::chrono::milliseconds(200));
    for (int i = 0; i < 100; ++i) BOOST_TEST(logs.log(i).durable_end().value() == 2);
    const bool filesystem = mode == GroupSync::filesystem;
    const std::size_t shared = logs.counted(DiskOperation::sync_filesystem);
    BOOST_TEST(logs.counted(DiskOperation::sync, ".log") == (filesystem ? 0u : 100u));
    BOOST_TEST((shared > 0) == filesystem);
    BOOST_TEST(shared < 30u);
    logs.count();
    logs.pass(std::chrono::milliseconds(200));
    BOOST_TEST(logs.counted(DiskOperation::sync) == 0u);
    BOOST_TEST(logs.counted(DiskOperation::sync_filesystem) == 0u);
    logs.cut_power();
    logs.start();
    logs.open(100);
    for (int i = 0; i < 100; ++i) BOOST_TEST(logs.log(i).end().value() == 2);
  }
}

BOOST_AUTO_TEST_CASE(syncs_of_many_logs_at_once_share_one_of_the_file_system) {
  Logs logs({.group_sync = GroupSync::filesystem});
  logs.start();
  logs.open(50);
  for (int i = 0; i < 50; ++i) logs.append(i);
  logs.count();
  runtime::Gate gate(logs.world.runtime());
  const auto sync = [&logs](int i) -> Task<void> {
    const auto synced = co_await logs.log(i).sync();
    BOOST_TEST((synced && synced->value() == 2));
  };
  logs.world.run([&]() -> Task<void> {
    for (int i = 0; i < 50; ++i) gate.start([&sync, i] { return sync(i); });
    co_await gate.close();
  });
  BOOST_TEST(logs.counted(DiskOperation::sync_filesystem) <= 2u);
  BOOST_TEST(logs.counted(DiskOperation::sync, ".log") == 0u);
  logs.cut_power();
  logs.start();
  logs.open(50);
  for (int i = 0; i < 50; ++i) BOOST_TEST(logs.log(i).end().value() == 2);
}

BOOST_AUTO_TEST_CASE(a_failed_sync_of_the_file_system_poisons_every_log_that_held_unsynced_bytes) {
  Logs logs({.group_sync = GroupSync::filesystem});
  logs.start();
  logs.open(3);
  for (int i = 0; i < 3; ++i) {
    logs.append(i);
    (void)must(logs.sync(i));
  }
  logs.append(0);
  logs.append(1);
  logs.world.set_fault_hook([](const DiskAccess& access) {
    const bool fails = access.operation == DiskOperation::sync_filesystem;
    return DiskFault{.delay = {}, .error = fails ? EIO : 0, .torn = 0};
  });
  BOOST_TEST((code_of(logs.sync(0)) == Errc::io));
  logs.world.set_fault_hook({});
  BOOST_TEST((code_of(logs.sync(1)) == Errc::io));
  for (const int lost : {0, 1}) {
    BOOST_TEST((code_of(logs.try_append(lost)) == Errc::io));
    BOOST_TEST((code_of(logs.read(lost, 2)) == Errc::io));
    BOOST_TEST(must(logs.read(lost, 0)).next.value() == 2);
  }
  // What was durable is read on; the disk refuses every later sync of the file system.
  BOOST_TEST(must(logs.read(2, 0)).next.value() == 2);
  logs.append(2);
  BOOST_TEST((code_of(logs.sync(2)) == Errc::io));
}

// With sixteen descriptors for all, appending to twenty logs closes the files of the first, each
// after a sync.
BOOST_AUTO_TEST_CASE(what_a_failed_sync_before_closing_took_no_sync_of_the_file_system_promises) {
  Logs logs({.open_files_max = 16, .group_sync = GroupSync::filesystem});
  logs.start();
  logs.open(20);
  logs.append(0);
  logs.world.set_fault_hook([](const DiskAccess& access) {
    const bool hit = access.operation == DiskOperation::sync && access.path.ends_with(".log");
    return DiskFault{.delay = {}, .error = hit ? EIO : 0, .torn = 0};
  });
  for (int i = 1; i < 20; ++i) logs.append(i);
  logs.world.set_fault_hook({});
  BOOST_TEST((code_of(logs.sync(0)) == Errc::io));
  BOOST_TEST((code_of(logs.try_append(0)) == Errc::io));
  BOOST_TEST(must(logs.sync(19)).value() == 2);
}

BOOST_AUTO_TEST_CASE(logs_that_are_opened_at_once_recover_at_once) {
  Logs logs({.open_files_max = 16});
  logs.start();
  logs.open(40);
  for (int i = 0; i < 80; ++i) logs.append(i % 40);
  logs.kill();
  logs.start();
  runtime::Gate gate(logs.world.runtime());
  std::vector<std::unique_ptr<Log>> opened;
  const auto open = [&](int i) -> Task<void> {
    LogName name{Logs::name_of(i), TopicId{0, 1}};
    auto log = co_await logs.layout().open(std::move(name), logs.log_options);
    BOOST_REQUIRE(log.has_value());
    BOOST_TEST((*log)->end().value() == 4);
    opened.push_back(std::move(*log));
  };
  logs.world.run([&]() -> Task<void> {
    for (int i = 0; i < 40; ++i) gate.start([&open, i] { return open(i); });
    co_await gate.close();
    for (const auto& log : opened) {
      const auto closed = co_await log->close();
      BOOST_TEST(closed.has_value());
    }
  });
  Duration sum{};
  for (const Duration each : logs.layout().recovery().phases) sum += each;
  BOOST_TEST((sum > 4 * logs.layout().recovery().elapsed));
}

BOOST_AUTO_TEST_CASE(the_first_read_of_a_full_segment_after_a_clean_start_begins_near_its_offset) {
  Logs logs;
  logs.log_options.segment_bytes = 200'000;
  logs.start();
  logs.open(1);
  for (int i = 0; i < 1500; ++i) logs.append(0, 2, 1000 + i);
  logs.restart();
  logs.open(1);
  std::uint64_t least = std::numeric_limits<std::uint64_t>::max();
  std::size_t bytes = 0;
  logs.world.set_fault_hook([&](const DiskAccess& access) {
    if (access.operation == DiskOperation::read && access.path.ends_with("0.log")) {
      least = std::min(least, access.position);
      bytes += access.count;
    }
    return DiskFault{};
  });
  const auto read =
      must(await(logs.world, [&] { return logs.log(0).read(Offset{1500}, Offset{1'000'000}, 1); }));
  BOOST_TEST(read.next.value() == 1502);
  BOOST_TEST(least > 50'000u);
  BOOST_TEST(bytes < 100'000u);
}

BOOST_AUTO_TEST_CASE(a_batch_behind_a_gap_goes_into_a_segment_whose_indexes_are_loaded) {
  Logs logs;
  logs.log_options.cleanup_policy = CleanupPolicy::compact;
  logs.start();
  logs.open(1);
  for (int i = 0; i < 5; ++i) logs.append(0, 2, 1000 + i);
  logs.restart();
  logs.open(1);
  logs.count();
  Bytes batch = make_batch(1, 5000);
  stamp_batch(batch, Offset{20}, LeaderEpoch{0});
  must(await(logs.world, [&] { return logs.log(0).append_as_follower(batch); }));
  BOOST_TEST(logs.counted(DiskOperation::read, ".index") == 1u);
  const auto found =
      must(await(logs.world, [&] { return logs.log(0).find_timestamp(4000, Offset{100}); }));
  BOOST_TEST(found->offset.value() == 20);
}

BOOST_AUTO_TEST_CASE(a_layout_sums_up_what_its_logs_did_to_recover) {
  Logs logs;
  logs.start();
  logs.open(4);
  for (int i = 0; i < 40; ++i) logs.append(i % 4);
  logs.kill();
  logs.start();
  logs.open(5);
  const LayoutRecovery recovery = logs.layout().recovery();
  BOOST_TEST(recovery.logs == 5u);
  BOOST_TEST(recovery.unclean == 4u);
  BOOST_TEST(recovery.clean == 1u);  // The new one.
  BOOST_TEST(recovery.bytes_scanned > 0u);
  BOOST_TEST(recovery.bytes_rewritten > 0u);
  BOOST_TEST(recovery.parallelism == 8u);
  BOOST_TEST((recovery.elapsed > Duration{}));
  BOOST_TEST((recovery.phases[static_cast<std::size_t>(RecoveryPhase::scan)] > Duration{}));
  BOOST_TEST(recovery.to_string().starts_with("recovered 5 logs in "));
  BOOST_TEST(recovery.to_string().find(": 1 clean, 4 unclean, 0 failed, ") != std::string::npos);
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace qlab::storage
