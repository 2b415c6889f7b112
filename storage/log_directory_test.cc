// How logs begin: what their directories cost, share, and tell.

#include "storage/log_directory.h"

#include "runtime/async.h"
#include "storage/kafka_files.h"
#include "storage/logs_fixture.h"

namespace qlab::storage {
namespace {

BOOST_AUTO_TEST_SUITE(log_directory)

BOOST_AUTO_TEST_CASE(a_log_without_a_record_costs_the_disk_nothing) {
  for (const GroupSync mode : {GroupSync::files, GroupSync::filesystem}) {
    Logs logs({.group_sync = mode});
    logs.start();
    logs.count();
    logs.open(3);
    for (int i = 0; i < 3; ++i) BOOST_TEST(must(logs.sync(i)).value() == 0);
    must(await(logs.world, [&] { return logs.log(0).compact(WallMillis(1), Offset{0}); }));
    must(await(logs.world, [&] { return logs.log(0).apply_retention(WallMillis(1), Offset{0}); }));
    BOOST_TEST(must(logs.read(0, 0)).batches.empty());
    logs.restart();
    logs.open(3);
    must(await(logs.world, [&] { return logs.log(2).remove(); }));
    BOOST_TEST(logs.counted(DiskOperation::make_directory) == 0u);
    BOOST_TEST(!must(logs.world.disk().exists("t-0")));
    logs.append(0);
    BOOST_TEST(must(logs.sync(0)).value() == 2);
  }
}

BOOST_AUTO_TEST_CASE(logs_that_begin_at_once_share_the_sync_of_their_directory) {
  Logs logs;
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
  BOOST_TEST(logs.counted(DiskOperation::sync_directory) <= 52u);  // Each its own, and two of all.
  logs.cut_power();
  logs.start();
  logs.open(50);
  for (int i = 0; i < 50; ++i) BOOST_TEST(logs.log(i).end().value() == 2);
}

BOOST_AUTO_TEST_CASE(a_directory_that_does_not_tell_its_topic_is_not_removed) {
  Logs logs;
  logs.start();
  logs.open(1);
  logs.append(0);
  (void)must(logs.sync(0));
  Bytes metadata = must(logs.world.disk().read_file("t-0/partition.metadata"));
  metadata.at(3) ^= std::byte{1};
  must(logs.world.disk().write_file_atomically("t-0/partition.metadata", metadata));
  logs.kill();
  logs.start();
  BOOST_TEST((code_of(logs.try_open(0)) == Errc::corrupt));
  BOOST_TEST(must(logs.world.disk().exists("t-0/00000000000000000000.log")));
}

std::vector<std::string> strays_of(Logs& logs) {
  const Tenants nobody = [](std::string_view) { return std::optional<TopicId>{}; };
  const auto found = must(await(logs.world, [&] { return logs.layout().find_strays(nobody); }));
  must(await(logs.world, [&] { return logs.layout().remove(found); }));
  std::vector<std::string> names;
  for (const LogName& name : found) names.push_back(name.partition);
  return names;
}

BOOST_AUTO_TEST_CASE(only_what_is_certainly_a_log_is_a_stray) {
  Logs logs;
  logs.start();
  logs.open(6);
  for (int i = 0; i < 6; ++i) logs.append(i);
  for (int i = 0; i < 6; ++i) (void)must(logs.sync(i));
  runtime::Disk& disk = logs.world.disk();
  logs.kill();
  // Of these a power cut may have left no more than that.
  must(disk.write_file_atomically("t-1/partition.metadata", {}));
  for (const std::string& name : must(disk.list("t-2"))) {
    if (!base_of_data_file(name)) must(disk.remove("t-2/" + name));
  }
  // These do not tell.
  Bytes metadata = must(disk.read_file("t-3/partition.metadata"));
  metadata.at(3) ^= std::byte{1};
  must(disk.write_file_atomically("t-3/partition.metadata", metadata));
  must(disk.remove("t-4/partition.metadata"));
  must(disk.write_file_atomically("t-4/letters", bytes_of("dear")));
  must(disk.write_file_atomically("file-1", bytes_of("dear")));
  must(disk.make_directories("partition-groups/0"));
  must(disk.make_directories("metadata"));
  // No partition is named so.
  must(disk.rename("t-5", "t-05"));
  logs.start();
  const auto before = must(disk.list(""));
  BOOST_TEST((strays_of(logs) == std::vector<std::string>{"t-0", "t-1", "t-2"}));
  auto expected = before;
  std::erase_if(expected,
                [](const std::string& n) { return n == "t-0" || n == "t-1" || n == "t-2"; });
  BOOST_TEST((must(disk.list("")) == expected));
  BOOST_TEST(must(disk.exists("file-1")));
  BOOST_TEST(must(disk.exists("t-4/letters")));
}

BOOST_AUTO_TEST_CASE(strays_are_removed_with_one_sync_of_their_parent_and_as_a_whole) {
  Logs logs;
  logs.start();
  logs.open(20);
  for (int i = 0; i < 20; ++i) logs.append(i);
  for (int i = 0; i < 20; ++i) (void)must(logs.sync(i));
  logs.restart();
  logs.count();
  BOOST_TEST(strays_of(logs).size() == 20u);
  BOOST_TEST(logs.counted(DiskOperation::sync_directory) == 1u);
  logs.cut_power();
  logs.start();
  logs.open(20);
  for (int i = 0; i < 20; ++i) BOOST_TEST(logs.log(i).end().value() == 0);
}

// A power cut came between the first sync of the data and that of partition.metadata.
BOOST_AUTO_TEST_CASE(data_that_goes_with_a_directory_that_was_never_durable_is_named) {
  Logs logs;
  logs.start();
  logs.open(2);
  logs.append(0);
  (void)must(logs.sync(0));
  logs.kill();
  must(logs.world.disk().write_file_atomically("t-0/partition.metadata", {}));
  logs.start();
  logs.open(2);
  const RecoveryReport& report = logs.log(0).recovery();
  BOOST_TEST(logs.log(0).end().value() == 0);
  BOOST_TEST(report.bytes_truncated > 0u);
  BOOST_TEST(report.torn_tails == 1u);
  BOOST_TEST(!report.clean);
  BOOST_TEST(report.dropped.value_or("") ==
             fmt::format("t-0 was never durable; removed it with {} bytes of data",
                         report.bytes_truncated));
  BOOST_TEST(logs.log(1).recovery().clean);
  BOOST_TEST(!logs.log(1).recovery().dropped.has_value());
}

// What a failed sync leaves in the page cache keeps from the disk what is written to it later, at
// least on some file systems; the simulated one draws it.
BOOST_AUTO_TEST_CASE(a_directory_whose_sync_failed_survives_what_the_next_life_makes_durable) {
  for (const GroupSync mode : {GroupSync::files, GroupSync::filesystem}) {
    for (int round = 0; round < 8; ++round) {
      Logs logs({.group_sync = mode});
      logs.start();
      logs.open(round + 1);
      const auto fail_sync = [](const DiskAccess& access) {
        const bool hit = access.operation == DiskOperation::sync_filesystem ||
                         access.path == "t-0/partition.metadata";
        const bool is_sync = access.operation == DiskOperation::sync ||
                             access.operation == DiskOperation::sync_filesystem;
        return DiskFault{.delay = {}, .error = hit && is_sync ? EIO : 0, .torn = 0};
      };
      for (int i = 0; i <= round; ++i) logs.append(i);
      logs.world.set_fault_hook(fail_sync);
      BOOST_TEST((code_of(logs.sync(0)) == Errc::io));
      logs.world.set_fault_hook({});
      logs.kill();
      logs.start();
      logs.open(1);
      logs.append(0);
      const Offset durable = must(logs.sync(0));
      logs.cut_power();
      logs.start();
      logs.open(1);
      BOOST_TEST((logs.log(0).end() == durable));
    }
  }
}

// With shared syncs a small log is scanned again and not written to when it is recovered.
BOOST_AUTO_TEST_CASE(recovering_many_small_logs_shares_its_syncs) {
  Logs logs({.group_sync = GroupSync::filesystem});
  logs.start();
  logs.open(40);
  for (int i = 0; i < 40; ++i) logs.append(i);
  for (int life = 0; life < 2; ++life) {
    logs.kill();
    logs.start();
    logs.count();
    logs.open(40);
    for (int i = 0; i < 40; ++i) BOOST_TEST(logs.log(i).end().value() == 2);
    BOOST_TEST(logs.counted(DiskOperation::sync) == 0u);
    BOOST_TEST(logs.counted(DiskOperation::replace) == 0u);
    BOOST_TEST(logs.counted(DiskOperation::sync_directory) == 0u);
  }
  logs.cut_power();
  logs.start();
  logs.open(40);
  for (int i = 0; i < 40; ++i) BOOST_TEST(logs.log(i).end().value() == 2);
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace qlab::storage
