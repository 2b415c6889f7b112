#include "storage/log.h"

#include "runtime/async.h"
#include "storage/log_fixture.h"

namespace qlab::storage {
namespace {

using Numbers = std::vector<std::int64_t>;

template <class Check>
void for_all(Check check) {
  for (TestSetup& setup : all_setups()) {
    BOOST_TEST_CONTEXT(setup.name) {
      LogFixture fixture(std::move(setup));
      fixture.open();
      check(fixture);
    }
  }
}

TestSetup simulated_disk() {
  return make_setup(false, "buffered");
}

using Search = std::optional<Result<std::optional<Log::TimestampOffset>>>;

Task<void> search(Log& log, std::int64_t timestamp, Search& found) {
  found = co_await log.find_timestamp(timestamp, log.end());
}

// A client's search, and the end of the node or of the topic before it is done.
Task<void> close_during_search(runtime::Runtime& runtime, Log& log, std::int64_t timestamp,
                               Search& found) {
  runtime::Gate gate(runtime);
  gate.start([&log, timestamp, &found] { return search(log, timestamp, found); });
  co_await runtime::sleep_for(runtime, std::chrono::microseconds(1));
  BOOST_REQUIRE(!found.has_value());
  const Result<void> closed = co_await log.close();
  BOOST_TEST(closed.has_value());
  co_await gate.close();
}

BOOST_AUTO_TEST_SUITE(log)

BOOST_AUTO_TEST_CASE(a_leader_stamps_offsets_and_epoch_and_reads_them_back) {
  for_all([](LogFixture& fixture) {
    Bytes two = make_batch(3);
    const Bytes second = make_batch(2);
    two.insert(two.end(), second.begin(), second.end());
    BOOST_TEST(fixture.append(make_batch(1)).base.value() == 0);
    const AppendResult appended = fixture.append(two, 7);
    BOOST_TEST(appended.base.value() == 1);
    BOOST_TEST(appended.next.value() == 6);
    BOOST_TEST(fixture.log().end().value() == 6);

    const ReadResult read = must(fixture.read(0));
    BOOST_TEST(read.next.value() == 6);
    const auto headers = must(check_batches(read.batches));
    BOOST_REQUIRE(headers.size() == 3u);
    BOOST_TEST(headers[2].base_offset.value() == 4);
    BOOST_TEST(headers[0].leader_epoch.value() == 0);
    BOOST_TEST(headers[2].leader_epoch.value() == 7);
  });
}

// By hand from Kafka's format, with another implementation of the checksum.
BOOST_AUTO_TEST_CASE(a_segment_holds_the_bytes_that_kafkas_format_says) {
  // clang-format off
  constexpr std::string_view expected =
      // base offset 0, length 58, epoch 7, magic 2, crc, attributes, last offset delta
      "0000000000000000" "0000003a" "00000007" "02" "e99b8dd8" "0000" "00000000"
      // base and maximal timestamp, producer id and epoch, base sequence, record count
      "0000018bcfe56800" "0000018bcfe56800" "ffffffffffffffff" "ffff" "ffffffff" "00000001"
      // length 8, attributes, timestamp and offset delta, key "k", value "v", no headers
      "10" "00" "00" "00" "02" "6b" "02" "76" "00"
      "0000000000000001" "0000003a" "00000007" "02" "7842bd50" "0000" "00000000"
      "0000018bcfe56801" "0000018bcfe56801" "ffffffffffffffff" "ffff" "ffffffff" "00000001"
      "10" "00" "00" "00" "02" "6b" "02" "76" "00";
  // clang-format on
  LogFixture fixture(simulated_disk());
  fixture.open();
  for (int i = 0; i < 2; ++i) {
    Record record;
    record.timestamp = 1'700'000'000'000 + i;
    record.key = bytes_of("k");
    record.value = bytes_of("v");
    fixture.append(encode_batch({record}), 7);
  }
  fixture.close();
  const Bytes bytes = must(fixture.disk().read_file("topic-0/00000000000000000000.log"));
  std::string hex;
  for (const std::byte each : bytes) hex += fmt::format("{:02x}", static_cast<int>(each));
  BOOST_TEST(hex == expected);
  BOOST_TEST(as_text(must(fixture.disk().read_file("topic-0/leader-epoch-checkpoint"))) ==
             "0\n1\n7 0\n");
  // One entry of the time index: the latest timestamp, at relative offset 1.
  const Bytes times = must(fixture.disk().read_file("topic-0/00000000000000000000.timeindex"));
  BOOST_TEST((times == bytes_of(std::string_view("\0\0\x1\x8b\xcf\xe5\x68\x1\0\0\0\x1", 12))));
  fixture.open();
}

BOOST_AUTO_TEST_CASE(a_read_gives_whole_batches_below_the_limit_and_at_least_one) {
  for_all([](LogFixture& fixture) {
    for (int i = 0; i < 5; ++i) fixture.append(make_batch(10));
    // From the middle of a batch: the whole batch.
    ReadResult read = must(fixture.read(13, 1000, 1));
    BOOST_TEST(must(check_batches(read.batches)).front().base_offset.value() == 10);
    BOOST_TEST(read.next.value() == 20);
    // A batch that reaches beyond the limit is not given.
    read = must(fixture.read(10, 29));
    BOOST_TEST(read.next.value() == 20);
    read = must(fixture.read(10, 19));
    BOOST_TEST(read.batches.empty());
    BOOST_TEST(read.next.value() == 10);
    read = must(fixture.read(50));
    BOOST_TEST(read.batches.empty());
    BOOST_TEST(number(code_of(fixture.read(51))) == number(Errc::out_of_range));
  });
}

BOOST_AUTO_TEST_CASE(a_log_rolls_and_is_read_across_segments) {
  for_all([](LogFixture& fixture) {
    Numbers expected;
    for (int i = 0; i < 40; ++i) {
      expected.push_back(fixture.append(make_batch(1 + i % 4, 1000 + i, 50)).base.value());
    }
    BOOST_TEST(must(fixture.setup().engine->list("topic-0")).size() > 5u);
    BOOST_TEST(fixture.bases() == expected);
    fixture.reopen();
    BOOST_TEST(fixture.bases() == expected);
    fixture.kill_and_reopen();
    BOOST_TEST(fixture.bases() == expected);
    BOOST_TEST(!fixture.log().recovery().dropped.has_value());
  });
}

BOOST_AUTO_TEST_CASE(what_was_appended_is_durable_after_a_sync_and_not_before) {
  for_all([](LogFixture& fixture) {
    for (int i = 0; i < 30; ++i) fixture.append(make_batch(1, 1000, 50));
    BOOST_TEST(fixture.log().durable_end() < fixture.log().end());
    BOOST_TEST(fixture.sync() == 30);
    BOOST_TEST(fixture.log().durable_end().value() == 30);
    fixture.append(make_batch(1));
    BOOST_TEST(fixture.log().durable_end().value() == 30);
  });
}

BOOST_AUTO_TEST_CASE(in_group_mode_the_log_syncs_by_itself_within_the_interval) {
  LogFixture fixture(simulated_disk());
  fixture.options().durability = Durability::group;
  fixture.options().group_interval = std::chrono::milliseconds(5);
  fixture.open();
  auto& world = static_cast<SimulatedTestWorld&>(*fixture.setup().world).world();
  fixture.append(make_batch(2));
  BOOST_TEST(fixture.log().durable_end().value() == 0);
  const Time appended = world.now();
  const auto durable = [&] { return fixture.log().durable_end() == fixture.log().end(); };
  BOOST_REQUIRE(world.run_until(durable, std::chrono::seconds(1)).has_value());
  BOOST_TEST((world.now() - appended < std::chrono::milliseconds(50)));
  fixture.append(make_batch(2));
  BOOST_REQUIRE(world.run_until(durable, std::chrono::seconds(1)).has_value());
}

BOOST_AUTO_TEST_CASE(a_follower_takes_what_follows_and_nothing_else) {
  for_all([](LogFixture& fixture) {
    Bytes batch = make_batch(2);
    stamp_batch(batch, Offset{0}, LeaderEpoch{3});
    BOOST_TEST(must(fixture.follow(batch)).next.value() == 2);
    BOOST_TEST(number(code_of(fixture.follow(batch))) == number(Errc::out_of_range));
    stamp_batch(batch, Offset{2}, LeaderEpoch{2});
    BOOST_TEST(number(code_of(fixture.follow(batch))) == number(Errc::fenced));
    stamp_batch(batch, Offset{2}, LeaderEpoch{4});
    must(fixture.follow(batch));
    BOOST_TEST(fixture.log().latest_epoch().value() == 4);
    BOOST_TEST(number(code_of(fixture.try_append(make_batch(1), 3))) == number(Errc::fenced));
  });
}

BOOST_AUTO_TEST_CASE(epochs_are_known_again_when_the_log_is_opened_again) {
  for_all([](LogFixture& fixture) {
    BOOST_TEST(fixture.log().end_of_epoch(LeaderEpoch{5}).epoch.value() == -1);
    fixture.append(make_batch(4), 2);
    fixture.append(make_batch(4), 5);
    const auto check = [&](const char* when) {
      BOOST_TEST_CONTEXT(when) {
        const Log& log = fixture.log();
        BOOST_TEST(log.latest_epoch().value() == 5);
        BOOST_TEST(log.end_of_epoch(LeaderEpoch{5}).end.value() == 8);
        BOOST_TEST(log.end_of_epoch(LeaderEpoch{4}).epoch.value() == 2);
        BOOST_TEST(log.end_of_epoch(LeaderEpoch{4}).end.value() == 4);
        BOOST_TEST(log.end_of_epoch(LeaderEpoch{1}).epoch.value() == -1);
        BOOST_TEST(log.end_of_epoch(LeaderEpoch{1}).end.value() == 0);
        BOOST_TEST(log.end_of_epoch(LeaderEpoch{9}).epoch.value() == 5);
        BOOST_TEST(log.end_of_epoch(LeaderEpoch{9}).end.value() == 8);
      }
    };
    check("as appended");
    fixture.reopen();
    check("after a close");
    fixture.kill_and_reopen();
    check("after a kill");
  });
}

BOOST_AUTO_TEST_CASE(a_truncation_reaches_across_segments_and_takes_a_split_batch_whole) {
  for_all([](LogFixture& fixture) {
    for (int i = 0; i < 20; ++i) fixture.append(make_batch(2, 1000, 100), i / 5);
    fixture.sync();
    fixture.truncate(11);
    BOOST_TEST(fixture.log().end().value() == 10);
    BOOST_TEST(fixture.log().durable_end().value() == 10);
    BOOST_TEST(fixture.log().latest_epoch().value() == 0);
    BOOST_TEST(fixture.bases() == (Numbers{0, 2, 4, 6, 8}));
    fixture.append(make_batch(1), 9);
    const Numbers expected{0, 2, 4, 6, 8, 10};
    fixture.kill_and_reopen();
    BOOST_TEST(fixture.bases() == expected);
    BOOST_TEST(fixture.log().end_of_epoch(LeaderEpoch{5}).end.value() == 10);
    fixture.truncate(0);
    BOOST_TEST(fixture.log().end().value() == 0);
    BOOST_TEST(fixture.log().latest_epoch().value() == -1);
    fixture.append(make_batch(1));
    fixture.reopen();
    BOOST_TEST(fixture.bases() == Numbers{0});
  });
}

// On the real world appends do not wait, so the cut comes before the sealing that a roll began.
Task<Result<void>> fill_a_segment_and_cut(Log& log) {
  for (int i = 0; i < 8; ++i) {
    CO_TRY_VOID(co_await log.append_as_leader(make_batch(1, 1000, 200), LeaderEpoch{0}));
  }
  CO_TRY_VOID(co_await log.truncate_to(Offset{2}));
  co_return Result<void>{};
}

BOOST_AUTO_TEST_CASE(a_cut_right_after_a_roll_leaves_nothing_durable_beyond_the_end) {
  for_all([](LogFixture& fixture) {
    must(await(*fixture.setup().world, [&] { return fill_a_segment_and_cut(fixture.log()); }));
    fixture.append(make_batch(1, 1000, 100));
    fixture.append(make_batch(1, 1000, 300));
    BOOST_TEST(fixture.log().durable_end().value() <= fixture.log().end().value());
    BOOST_TEST(fixture.sync() == 4);
    fixture.reopen();
    BOOST_TEST(fixture.log().end().value() == 4);
  });
}

BOOST_AUTO_TEST_CASE(a_reset_log_begins_anew_at_the_given_offset) {
  for (const char* engine : {"buffered", "uring"}) {
    LogFixture fixture(make_setup(false, engine));
    fixture.open();
    for (int i = 0; i < 20; ++i) fixture.append(make_batch(2, 1000, 100), 3);
    fixture.reset(500);
    BOOST_TEST(fixture.log().start().value() == 500);
    BOOST_TEST(fixture.log().end().value() == 500);
    BOOST_TEST(fixture.log().latest_epoch().value() == -1);
    fixture.reopen();
    BOOST_TEST(fixture.log().start().value() == 500);
    fixture.append(make_batch(3), 4);
    fixture.kill_and_reopen();
    BOOST_TEST(fixture.bases() == Numbers{500});
    // Backwards as well: the leader's log may begin earlier.
    fixture.reset(100);
    fixture.append(make_batch(3), 4);
    fixture.reopen();
    BOOST_TEST(fixture.log().start().value() == 100);
    BOOST_TEST(fixture.bases() == Numbers{100});
  }
}

BOOST_AUTO_TEST_CASE(timestamps_are_found_at_the_first_record_that_has_them) {
  for_all([](LogFixture& fixture) {
    // Offsets 3i..3i+2 have timestamps 100i..100i+2; one batch in the middle runs ahead.
    for (int i = 0; i < 30; ++i) {
      fixture.append(make_batch(3, i == 10 ? 50'000 : 100 * i, 60), 1);
    }
    const auto check = [&](const char* when) {
      BOOST_TEST_CONTEXT(when) {
        BOOST_TEST((fixture.find(0) == std::pair<std::int64_t, std::int64_t>(0, 0)));
        BOOST_TEST((fixture.find(501) == std::pair<std::int64_t, std::int64_t>(16, 501)));
        BOOST_TEST((fixture.find(503) == std::pair<std::int64_t, std::int64_t>(18, 600)));
        BOOST_TEST((fixture.find(1500) == std::pair<std::int64_t, std::int64_t>(30, 50'000)));
        BOOST_TEST((fixture.find(50'003) == std::pair<std::int64_t, std::int64_t>(-1, -1)));
        BOOST_TEST((fixture.find(501, 15) == std::pair<std::int64_t, std::int64_t>(-1, -1)));
        BOOST_TEST((fixture.find(501, 18) == std::pair<std::int64_t, std::int64_t>(16, 501)));
      }
    };
    check("as appended");
    fixture.reopen();
    check("after a close");
    fixture.kill_and_reopen();
    check("after a kill");
    fixture.truncate(30);
    BOOST_TEST((fixture.find(1500) == std::pair<std::int64_t, std::int64_t>(-1, -1)));
    BOOST_TEST((fixture.find(503) == std::pair<std::int64_t, std::int64_t>(18, 600)));
  });
}

BOOST_AUTO_TEST_CASE(a_compressed_batch_is_opened_to_find_a_timestamp) {
  LogFixture fixture(simulated_disk());
  fixture.open();
  fixture.append(make_batch(2, 100));
  std::vector<Record> records(3);
  for (int i = 0; i < 3; ++i) {
    records[static_cast<std::size_t>(i)].offset_delta = i;
    records[static_cast<std::size_t>(i)].timestamp = 200 + i;
  }
  BatchHeader header;
  header.attributes = static_cast<std::int16_t>(Codec::zstd);
  header.last_offset_delta = 2;
  header.base_timestamp = 200;
  header.max_timestamp = 202;
  fixture.append(must(rebuild_batch(header, records)));
  BOOST_TEST((fixture.find(201) == std::pair<std::int64_t, std::int64_t>(3, 201)));
}

BOOST_AUTO_TEST_CASE(a_search_that_is_under_way_ends_before_the_log_is_closed) {
  LogFixture fixture(simulated_disk());
  fixture.open();
  for (int i = 0; i < 4; ++i) fixture.append(make_batch(1, 100 + i));
  fixture.reopen();  // Closing it again has nothing to write, and is quick.
  Search found;
  fixture.setup().world->run([&] {
    return close_during_search(fixture.setup().world->runtime(), fixture.log(), 103, found);
  });
  BOOST_REQUIRE(found.has_value());
  BOOST_REQUIRE(found->has_value());
  BOOST_TEST((**found)->offset.value() == 3);
}

BOOST_AUTO_TEST_CASE(a_full_disk_refuses_an_append_and_the_log_goes_on) {
  LogFixture fixture(simulated_disk());
  fixture.open();
  fixture.append(make_batch(1));
  bool full = true;
  fixture.setup().world->set_fault_hook([&](const runtime::DiskAccess& access) {
    const bool hit = full && access.operation == runtime::DiskOperation::write;
    return runtime::DiskFault{.delay = {}, .error = hit ? ENOSPC : 0, .torn = hit ? 30u : 0u};
  });
  BOOST_TEST(number(code_of(fixture.try_append(make_batch(2)))) == number(Errc::no_space));
  BOOST_TEST(fixture.log().end().value() == 1);
  BOOST_TEST(fixture.bases() == Numbers{0});
  full = false;
  fixture.append(make_batch(2));
  fixture.setup().world->set_fault_hook({});
  fixture.kill_and_reopen();
  BOOST_TEST(fixture.bases() == (Numbers{0, 1}));
}

BOOST_AUTO_TEST_CASE(a_sync_that_found_the_disk_full_is_tried_again) {
  LogFixture fixture(make_setup(false, "direct"));
  fixture.open();
  fixture.append(make_batch(1));
  bool full = true;
  fixture.setup().world->set_fault_hook([&](const runtime::DiskAccess& access) {
    const bool hit = full && access.operation == runtime::DiskOperation::write;
    return runtime::DiskFault{.delay = {}, .error = hit ? ENOSPC : 0, .torn = hit ? 30u : 0u};
  });
  const auto synced = await(*fixture.setup().world, [&] { return fixture.log().sync(); });
  BOOST_TEST(number(code_of(synced)) == number(Errc::no_space));
  BOOST_TEST(number(code_of(fixture.try_append(make_batch(2)))) == number(Errc::no_space));
  BOOST_TEST(fixture.log().durable_end().value() == 0);
  full = false;
  BOOST_TEST(fixture.sync() == 1);
  fixture.append(make_batch(2));
  BOOST_TEST(fixture.bases() == (Numbers{0, 1}));
  fixture.kill_and_reopen();
  BOOST_TEST(fixture.bases() == (Numbers{0, 1}));
}

BOOST_AUTO_TEST_CASE(a_full_disk_refuses_a_truncation_or_a_reset_and_the_log_goes_on) {
  LogFixture fixture(simulated_disk());
  fixture.open();
  for (int i = 0; i < 3; ++i) fixture.append(make_batch(1));
  fixture.sync();
  fixture.setup().world->set_fault_hook([](const runtime::DiskAccess& access) {
    const bool hit = access.operation == runtime::DiskOperation::replace;
    return runtime::DiskFault{.delay = {}, .error = hit ? ENOSPC : 0, .torn = 0};
  });
  const auto refused =
      await(*fixture.setup().world, [&] { return fixture.log().truncate_to(Offset{1}); });
  BOOST_TEST(number(code_of(refused)) == number(Errc::no_space));
  const auto kept =
      await(*fixture.setup().world, [&] { return fixture.log().reset_to(Offset{9}); });
  BOOST_TEST(number(code_of(kept)) == number(Errc::no_space));
  BOOST_TEST(fixture.bases() == (Numbers{0, 1, 2}));
  fixture.setup().world->set_fault_hook({});
  fixture.append(make_batch(1));
  fixture.truncate(1);
  BOOST_TEST(fixture.bases() == Numbers{0});
}

BOOST_AUTO_TEST_CASE(a_reset_that_fails_half_way_is_ended_by_the_next_start) {
  LogFixture fixture(simulated_disk());
  fixture.open();
  for (int i = 0; i < 3; ++i) fixture.append(make_batch(1));
  fixture.setup().world->set_fault_hook([](const runtime::DiskAccess& access) {
    const bool hit = access.operation == runtime::DiskOperation::open;
    return runtime::DiskFault{.delay = {}, .error = hit ? EIO : 0, .torn = 0};
  });
  const auto failed =
      await(*fixture.setup().world, [&] { return fixture.log().reset_to(Offset{9}); });
  BOOST_TEST(number(code_of(failed)) == number(Errc::io));
  BOOST_TEST(number(code_of(fixture.read(0))) == number(Errc::io));
  fixture.setup().world->set_fault_hook({});
  fixture.kill_and_reopen();
  BOOST_TEST(fixture.log().start().value() == 9);
  BOOST_TEST(fixture.log().end().value() == 9);
}

BOOST_AUTO_TEST_CASE(after_a_failed_sync_nothing_is_appended_and_the_durable_part_is_read) {
  LogFixture fixture(simulated_disk());
  fixture.open();
  fixture.append(make_batch(1));
  fixture.sync();
  fixture.append(make_batch(1));
  fixture.setup().world->set_fault_hook([](const runtime::DiskAccess& access) {
    const bool hit = access.operation == runtime::DiskOperation::sync;
    return runtime::DiskFault{.delay = {}, .error = hit ? EIO : 0, .torn = 0};
  });
  const auto failed = await(*fixture.setup().world, [&] { return fixture.log().sync(); });
  BOOST_TEST(number(code_of(failed)) == number(Errc::io));
  fixture.setup().world->set_fault_hook({});
  BOOST_TEST(number(code_of(fixture.try_append(make_batch(1)))) == number(Errc::io));
  BOOST_TEST(fixture.log().durable_end().value() == 1);
  BOOST_TEST(must(fixture.read(0, 1)).next.value() == 1);
  const auto closed = await(*fixture.setup().world, [&] { return fixture.log().close(); });
  BOOST_TEST(number(code_of(closed)) == number(Errc::io));
  fixture.kill_and_reopen();
  BOOST_TEST(fixture.log().end().value() >= 1);
}

BOOST_AUTO_TEST_CASE(a_bad_batch_is_reported_by_name_and_never_served) {
  LogFixture fixture(simulated_disk());
  fixture.open();
  for (int i = 0; i < 10; ++i) fixture.append(make_batch(1));
  fixture.close();
  const std::string path = "topic-0/00000000000000000000.log";
  Bytes bytes = must(fixture.disk().read_file(path));
  bytes[bytes.size() / 10 + 70] ^= std::byte{1};  // In the second batch.
  must(fixture.disk().write_file_atomically(path, bytes));
  // What lies below the last index entry of a closed log is not scanned at start; a read finds it.
  fixture.open();
  BOOST_TEST(must(fixture.read(0)).next.value() == 1);
  const auto read = fixture.read(1);
  BOOST_TEST(number(code_of(read)) == number(Errc::corrupt));
  BOOST_TEST(read.error().context.starts_with(path + " at position "));
  BOOST_TEST(must(fixture.read(2)).next.value() == 10);
}

BOOST_AUTO_TEST_CASE(a_removed_log_leaves_nothing_behind) {
  for_all([](LogFixture& fixture) {
    for (int i = 0; i < 20; ++i) fixture.append(make_batch(2, 1000, 100));
    must(await(*fixture.setup().world, [&] { return fixture.log().remove(); }));
    BOOST_TEST(must(fixture.setup().engine->list("topic-0")).empty());
    if (fixture.setup().engine->is_persistent()) {
      BOOST_TEST(!must(fixture.disk().exists("topic-0")));
    }
    fixture.open();
    BOOST_TEST(fixture.log().end().value() == 0);
  });
}

BOOST_AUTO_TEST_CASE(a_log_in_memory_leaves_the_disk_alone) {
  SimulatedTestWorld* const world = new SimulatedTestWorld;
  TestSetup setup{"memory", std::unique_ptr<TestWorld>(world), nullptr};
  setup.engine = std::move(make_engine("memory", world->runtime()).value());
  LogFixture fixture(std::move(setup));
  fixture.open();
  for (int i = 0; i < 20; ++i) fixture.append(make_batch(2, 1000, 100));
  fixture.sync();
  fixture.truncate(7);
  fixture.reopen();
  BOOST_TEST(fixture.log().end().value() == 6);
  BOOST_TEST(world->disk().changes() == 0u);
}

BOOST_AUTO_TEST_CASE(options_out_of_bounds_name_key_value_and_range) {
  LogOptions options;
  must(options.validate());
  options.segment_bytes = 5;
  BOOST_TEST(options.validate().error().context ==
             "log.segment.bytes=5 is not in [1048576, 1073741824]");
  options = {};
  options.group_interval = std::chrono::seconds(2);
  BOOST_TEST(options.validate().error().context == "durability.group.ms=2000 is not in [1, 1000]");
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace qlab::storage
