// What a log makes of the files it finds: torn, corrupt, missing, left over.

#include "storage/recovery.h"

#include <cerrno>

#include "common/prng.h"
#include "runtime/async.h"
#include "storage/kafka_files.h"
#include "storage/log_fixture.h"

namespace qlab::storage {
namespace {

using Numbers = std::vector<std::int64_t>;

const std::string first_segment = "topic-0/00000000000000000000.log";

// A log on a simulated disk whose files a test may change between two lives.
class Files : public LogFixture {
 public:
  Files() : LogFixture(make_setup(false, "buffered")) {}

  Bytes contents(const std::string& path) { return must(disk().read_file(path)); }
  void replace(const std::string& path, ByteView bytes) {
    must(disk().write_file_atomically(path, bytes));
  }
  void flip(const std::string& path, std::size_t at) {
    Bytes bytes = contents(path);
    bytes.at(at) ^= std::byte{0x40};
    replace(path, bytes);
  }
  std::vector<std::string> data_files() {
    std::vector<std::string> names;
    for (const std::string& name : files()) {
      if (base_of_data_file(name)) names.push_back("topic-0/" + name);
    }
    return names;
  }
};

BOOST_AUTO_TEST_SUITE(recovery)

BOOST_AUTO_TEST_CASE(a_tail_torn_at_any_byte_is_cut_and_reported) {
  Files log;
  log.open();
  log.append(make_batch(2));
  log.append(make_batch(2));
  log.kill();
  const Bytes whole = log.contents(first_segment);
  const std::size_t good = whole.size() / 2;
  for (std::size_t size = good; size <= whole.size(); ++size) {
    BOOST_TEST_CONTEXT("cut to " << size << " bytes") {
      must(log.disk().remove("topic-0/recovery-point"));
      log.replace(first_segment, ByteView(whole).first(size));
      log.open();
      const RecoveryReport& report = log.log().recovery();
      const bool all = size == whole.size();
      const bool none = size < good + 8;  // Base offset 2 begins with seven zeros.
      BOOST_TEST(log.log().end().value() == (all ? 4 : 2));
      BOOST_TEST(log.log().durable_end() == log.log().end());
      BOOST_TEST(report.bytes_truncated == (all || none ? 0 : size - good));
      BOOST_TEST(report.dropped.has_value() == (!all && !none));
      if (report.dropped) {
        BOOST_TEST(
            report.dropped->starts_with(fmt::format("{} at position {}", first_segment, good)));
      }
      BOOST_TEST(log.contents(first_segment).size() == (all ? size : good));
      log.kill();
    }
  }
}

BOOST_AUTO_TEST_CASE(zeros_behind_the_last_batch_are_space_that_was_prepared) {
  for (const std::size_t zeros : {1u, 60u, 5000u, 3'000'000u}) {
    Files log;
    log.open();
    log.append(make_batch(2));
    log.kill();
    const Bytes batches = log.contents(first_segment);
    Bytes bytes = batches;
    bytes.resize(bytes.size() + zeros);
    log.replace(first_segment, bytes);
    log.open();
    BOOST_TEST(log.log().end().value() == 2);
    BOOST_TEST(log.log().size_bytes() == batches.size());
    BOOST_TEST(!log.log().recovery().dropped.has_value());
    BOOST_TEST(log.log().recovery().torn_tails == 0u);
    BOOST_TEST(log.log().recovery().bytes_truncated == 0u);
    log.append(make_batch(2));
    log.kill_and_reopen();
    BOOST_TEST(log.bases() == (Numbers{0, 2}));
  }
}

BOOST_AUTO_TEST_CASE(a_part_of_a_batch_with_zeros_behind_it_is_a_torn_tail) {
  Files log;
  log.open();
  log.append(make_batch(2));
  log.append(make_batch(2));
  log.kill();
  Bytes bytes = log.contents(first_segment);
  const std::size_t good = bytes.size() / 2;
  for (const std::size_t kept : {8u, 30u, 90u}) {
    must(log.disk().remove("topic-0/recovery-point"));
    Bytes torn(bytes.begin(), bytes.begin() + static_cast<std::ptrdiff_t>(good + kept));
    torn.resize(good + 5000);
    log.replace(first_segment, torn);
    log.open();
    BOOST_TEST(log.log().end().value() == 2);
    BOOST_REQUIRE(log.log().recovery().dropped.has_value());
    BOOST_TEST(log.log().recovery().bytes_truncated == 5000u);
    BOOST_TEST(log.log().recovery().torn_tails == 1u);
    BOOST_TEST(log.log().recovery().corrupt_ranges == 0u);
    log.kill();
  }
}

BOOST_AUTO_TEST_CASE(zeros_below_the_durable_mark_are_corruption) {
  Files log;
  log.open();
  log.append(make_batch(2));
  log.append(make_batch(2));
  log.sync();
  log.kill();
  Bytes bytes = log.contents(first_segment);
  std::fill(bytes.begin() + static_cast<std::ptrdiff_t>(bytes.size() / 2), bytes.end(),
            std::byte{0});
  log.replace(first_segment, bytes);
  const auto opened = log.try_open();
  BOOST_TEST(number(code_of(opened)) == number(Errc::corrupt));
  BOOST_TEST((log.contents(first_segment) == bytes));
}

// A roll gives the prepared space of the full segment back after the mark has moved on.
BOOST_AUTO_TEST_CASE(zeros_behind_a_full_segment_are_prepared_space_when_the_next_one_goes_on) {
  for (const bool goes_on : {true, false}) {
    Files log;
    log.open();
    for (int i = 0; i < 4; ++i) log.append(make_batch(2, 1000, 200));
    log.sync();
    log.kill();
    const std::vector<std::string> files = log.data_files();
    BOOST_REQUIRE(files.size() == 2u);
    Bytes bytes = log.contents(files[0]);
    const auto half = static_cast<std::ptrdiff_t>(bytes.size() / 2);
    if (!goes_on) std::fill(bytes.begin() + half, bytes.end(), std::byte{0});
    bytes.resize(bytes.size() + 5000);
    log.replace(files[0], bytes);
    must(log.disk().remove("topic-0/recovery-point"));
    const auto opened = log.try_open();
    BOOST_TEST(opened.has_value() == goes_on);
    if (!goes_on) {
      BOOST_TEST(number(code_of(opened)) == number(Errc::corrupt));
      continue;
    }
    BOOST_TEST(log.contents(files[0]).size() == bytes.size() - 5000);
    BOOST_TEST(!log.log().recovery().dropped.has_value());
    BOOST_TEST(log.bases() == (Numbers{0, 2, 4, 6}));
  }
}

BOOST_AUTO_TEST_CASE(each_phase_of_a_recovery_is_timed_and_together_they_are_all_of_it) {
  Files log;
  log.open();
  for (int i = 0; i < 20; ++i) log.append(make_batch(2, 1000, 100));
  log.kill();
  log.open();
  const RecoveryReport& report = log.log().recovery();
  Duration sum{};
  for (const Duration each : report.phases) sum += each;
  BOOST_TEST((sum == report.elapsed));
  for (const RecoveryPhase phase : {RecoveryPhase::open, RecoveryPhase::scan, RecoveryPhase::sync,
                                    RecoveryPhase::rewrite, RecoveryPhase::store}) {
    BOOST_TEST_CONTEXT(name_of(phase)) {
      BOOST_TEST((report.phases[static_cast<std::size_t>(phase)] > Duration{}));
    }
  }
}

// ATC'20: after the failed sync the pages are clean and read well, and are not on the disk.
BOOST_AUTO_TEST_CASE(what_the_next_start_finds_after_a_failed_sync_is_durable) {
  bool is_cut = false;
  for (std::uint64_t seed = 1; seed <= 20; ++seed) {
    BOOST_TEST_CONTEXT("seed " << seed) {
      TestSetup setup{"", std::make_unique<SimulatedTestWorld>(seed), nullptr};
      auto& world = static_cast<SimulatedTestWorld&>(*setup.world);
      setup.engine = must(make_engine("buffered", world.runtime()));
      LogFixture log(std::move(setup));
      log.options().segment_bytes = 1u << 20;
      log.open();
      log.append(make_batch(2));
      log.sync();
      for (int i = 0; i < 10; ++i) log.append(make_batch(2, 1000, 500));
      world.set_fault_hook([](const runtime::DiskAccess& access) {
        const bool fails = access.operation == runtime::DiskOperation::sync;
        return runtime::DiskFault{.delay = {}, .error = fails ? EIO : 0, .torn = 0};
      });
      BOOST_TEST(!await(world, [&] { return log.log().sync(); }).has_value());
      world.set_fault_hook({});
      log.kill();
      log.open();
      const std::int64_t end = log.log().end().value();
      BOOST_TEST((end >= 2 && end <= 22));
      BOOST_TEST(log.log().durable_end().value() == end);
      is_cut |= end < 22;
      // What is written behind it reaches the disk as well.
      log.append(make_batch(2, 1000, 500));
      log.sync();
      log.cut_power();
      log.open();
      BOOST_TEST(log.log().end().value() == end + 2);
    }
  }
  BOOST_TEST(is_cut);
}

BOOST_AUTO_TEST_CASE(a_hole_above_what_is_durable_ends_the_log_and_says_what_lay_behind_it) {
  Files log;
  log.options().segment_bytes = 1u << 20;
  log.open();
  for (int i = 0; i < 20; ++i) log.append(make_batch(2, 1000, 100));
  log.kill();
  log.flip(first_segment, log.contents(first_segment).size() / 20 + 80);  // In the second batch.
  log.open();
  BOOST_TEST(log.bases() == Numbers{0});
  BOOST_TEST(log.log().recovery().torn_tails == 1u);
  BOOST_TEST(log.log().recovery().corrupt_ranges == 1u);
  BOOST_REQUIRE(log.log().recovery().dropped.has_value());
  BOOST_TEST(
      log.log().recovery().dropped->ends_with("among them 18 whole batches that end at offset 40"));
  log.append(make_batch(2));
  log.kill_and_reopen();
  BOOST_TEST(log.bases() == (Numbers{0, 2}));
}

BOOST_AUTO_TEST_CASE(bad_bytes_that_were_synced_are_corruption_and_nothing_is_cut) {
  Files log;
  log.open();
  for (int i = 0; i < 3; ++i) log.append(make_batch(2));
  log.sync();  // The durable mark says so; there is no recovery point yet.
  log.kill();
  const std::size_t batch_bytes = log.contents(first_segment).size() / 3;
  for (std::size_t bad = 0; bad < 3; ++bad) {
    BOOST_TEST_CONTEXT("batch " << bad) {
      const std::size_t at = bad * batch_bytes + 70;
      log.flip(first_segment, at);
      const Bytes before = log.contents(first_segment);
      const auto opened = log.try_open();
      BOOST_TEST(number(code_of(opened)) == number(Errc::corrupt));
      BOOST_TEST(opened.error().context.starts_with(
          fmt::format("{} at position {}:", first_segment, bad * batch_bytes)));
      BOOST_TEST((log.contents(first_segment) == before));
      log.flip(first_segment, at);
    }
  }
  Bytes cut = log.contents(first_segment);
  cut.pop_back();
  log.replace(first_segment, cut);
  BOOST_TEST(number(code_of(log.try_open())) == number(Errc::corrupt));
}

BOOST_AUTO_TEST_CASE(a_truncation_takes_back_what_the_durable_mark_said) {
  Files log;
  log.open();
  for (int i = 0; i < 3; ++i) log.append(make_batch(2));
  log.sync();
  log.truncate(2);
  log.append(make_batch(2));
  log.kill();
  Bytes torn = log.contents(first_segment);
  torn.pop_back();
  log.replace(first_segment, torn);
  log.open();
  BOOST_TEST(log.log().end().value() == 2);
}

BOOST_AUTO_TEST_CASE(a_missing_segment_below_the_recovery_point_is_corruption) {
  for (const std::size_t missing : {0u, 1u, 3u}) {
    Files log;
    log.open();
    for (int i = 0; i < 20; ++i) log.append(make_batch(2, 1000, 100));
    log.close();
    const std::vector<std::string> files = log.data_files();
    BOOST_REQUIRE(files.size() > 4u);
    must(log.disk().remove(files[missing]));
    const auto opened = log.try_open();
    BOOST_TEST(number(code_of(opened)) == number(Errc::corrupt));
  }
}

// A power cut may take the name of the first segment and leave that of the second.
BOOST_AUTO_TEST_CASE(a_log_whose_first_name_is_lost_before_any_sync_begins_at_0_all_the_same) {
  Files log;
  log.open();
  while (log.data_files().size() < 2) log.append(make_batch(2, 1000, 100));
  log.kill();
  must(log.disk().remove("topic-0/recovery-point"));
  must(log.disk().remove("topic-0/durable-mark"));
  must(log.disk().remove(first_segment));
  log.open();
  BOOST_TEST(log.log().start().value() == 0);
  BOOST_TEST(log.log().end().value() == 0);
  BOOST_TEST(log.log().recovery().dropped.has_value());
  BOOST_TEST((log.data_files() == std::vector<std::string>{first_segment}));
  BOOST_TEST(log.append(make_batch(2)).base.value() == 0);
}

BOOST_AUTO_TEST_CASE(index_files_that_are_missing_or_garbage_are_built_anew) {
  Prng random(7);
  for (int round = 0; round < 60; ++round) {
    BOOST_TEST_CONTEXT("round " << round) {
      Files log;
      log.open();
      Numbers expected;
      for (int i = 0; i < 40; ++i) {
        expected.push_back(log.append(make_batch(2, 100 * i, 40), i / 10).base.value());
      }
      log.close();
      for (const std::string& name : log.files()) {
        const bool index = name.ends_with("index") || name == epoch_checkpoint_name;
        if (!index || random.chance(0.3)) continue;
        Bytes bytes = log.contents("topic-0/" + name);
        switch (random.below(4)) {
          case 0:
            must(log.disk().remove("topic-0/" + name));
            continue;
          case 1:
            bytes.clear();
            break;
          case 2:
            bytes.resize(random.below(bytes.size() + 1));
            break;
          default:
            for (std::byte& each : bytes) each = static_cast<std::byte>(random.next());
        }
        log.replace("topic-0/" + name, bytes);
      }
      log.open();
      BOOST_TEST(log.bases() == expected);
      BOOST_TEST((log.find(1501) == std::pair<std::int64_t, std::int64_t>(31, 1501)));
      BOOST_TEST(log.log().end_of_epoch(LeaderEpoch{1}).end.value() == 40);
      BOOST_TEST(log.log().latest_epoch().value() == 3);
    }
  }
}

BOOST_AUTO_TEST_CASE(a_clean_start_scans_only_what_lies_behind_the_last_index_entries) {
  Files log;
  log.open();
  for (int i = 0; i < 100; ++i) log.append(make_batch(1));
  const std::uint64_t size = log.log().size_bytes();
  log.reopen();
  BOOST_TEST(log.log().recovery().bytes_scanned < size / 2);
  BOOST_TEST(log.log().recovery().segments > 5u);
}

BOOST_AUTO_TEST_CASE(a_recovery_point_that_does_not_decode_is_reported) {
  Files log;
  log.open();
  log.append(make_batch(1));
  log.close();
  log.flip("topic-0/recovery-point", 20);
  const auto opened = log.try_open();
  BOOST_TEST(number(code_of(opened)) == number(Errc::corrupt));
  BOOST_TEST(opened.error().context.starts_with("topic-0/recovery-point: "));
  must(log.disk().remove("topic-0/recovery-point"));
  log.open();
  BOOST_TEST(log.log().end().value() == 1);
}

BOOST_AUTO_TEST_CASE(segments_left_over_by_a_reset_are_not_of_the_log) {
  Files log;
  log.open();
  for (int i = 0; i < 20; ++i) log.append(make_batch(2, 1000, 100));
  log.close();
  must(write_recovery_point(log.disk(), "topic-0",
                            {.start = Offset{90},
                             .offset = Offset{90},
                             .segment = RecoveryPoint::no_segment,
                             .position = 0,
                             .generation = 1}));
  log.open();
  BOOST_TEST(log.log().start().value() == 90);
  BOOST_TEST(log.log().end().value() == 90);
  BOOST_TEST(log.data_files() == std::vector<std::string>{"topic-0/00000000000000000090.log"});
}

runtime::DiskFault slow_syncs_and_slower_writes(const runtime::DiskAccess& access) {
  runtime::DiskFault slow;
  const bool is_write = access.operation == runtime::DiskOperation::write;
  const bool is_index = access.path.ends_with("index");
  const bool is_next = access.path.ends_with("03.log");
  if (is_write && (is_index || is_next)) slow.delay = std::chrono::milliseconds(100);
  if (access.operation == runtime::DiskOperation::sync) slow.delay = std::chrono::milliseconds(20);
  return slow;
}

// The mark is not synced, and the name of a new segment is not either before its first batch is: a
// power cut may keep the one and take the other.
BOOST_AUTO_TEST_CASE(a_sync_while_the_next_segment_begins_promises_no_segment_that_may_be_lost) {
  for (std::uint64_t seed = 1; seed <= 40; ++seed) {
    BOOST_TEST_CONTEXT("seed " << seed) {
      TestSetup setup;
      auto simulated = std::make_unique<SimulatedTestWorld>(seed);
      runtime::SimulatedWorld& world = simulated->world();
      setup.engine = must(make_engine("buffered", simulated->runtime()));
      setup.world = std::move(simulated);
      LogFixture log(std::move(setup));
      log.open();
      const auto wait = [&](int milliseconds) {
        runtime::run(world, SimulatedTestWorld::node,
                     runtime::sleep_for(log.setup().world->runtime(),
                                        std::chrono::milliseconds(milliseconds)));
      };
      log.append(make_batch(1, 1000, 250));
      log.sync();
      must(log.disk().sync_directory("topic-0"));
      for (int i = 0; i < 2; ++i) log.append(make_batch(1, 1000, 250));
      wait(200);  // Until the next sync writes the mark again.
      log.setup().world->set_fault_hook(slow_syncs_and_slower_writes);
      const auto append =
          runtime::begin(world, SimulatedTestWorld::node,
                         log.log().append_as_leader(make_batch(1, 1000, 250), LeaderEpoch{0}));
      wait(5);
      BOOST_REQUIRE(must(log.disk().exists("topic-0/00000000000000000003.log")));
      BOOST_TEST(log.sync() == 3);
      BOOST_REQUIRE(!append->value.has_value());
      log.cut_power();
      log.setup().world->set_fault_hook({});
      log.open();
      BOOST_TEST(log.log().end().value() >= 3);
    }
  }
}

BOOST_AUTO_TEST_CASE(a_batch_longer_than_the_scan_window_is_checked_whole) {
  Files log;
  log.options().segment_bytes = 1u << 24;
  log.open();
  log.append(make_batch(1));
  log.append(make_batch(3, 1000, 1u << 20));
  log.kill();
  log.open();
  BOOST_TEST(log.log().end().value() == 4);
  log.kill();
  must(log.disk().remove("topic-0/recovery-point"));
  log.flip(first_segment, 2'500'000);
  log.open();
  BOOST_TEST(log.log().end().value() == 1);
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace qlab::storage
