// Deletion, retention and compaction of a partition's log, as one sees it from above.

#include "runtime/async.h"
#include "storage/compaction_point.h"
#include "storage/keyed_records.h"
#include "storage/log_fixture.h"
#include "storage/segment_swap.h"

namespace qlab::storage {
namespace {

using Texts = std::vector<std::string>;
using Numbers = std::vector<std::int64_t>;

LogOptions compacted() {
  LogOptions options = LogFixture::small_segments();
  options.segment_bytes = 300;
  options.cleanup_policy = CleanupPolicy::compact;
  options.cleanable_ratio_min = 0;
  options.delete_retention = std::chrono::milliseconds(100);
  options.dedupe_buffer_bytes = 1u << 16;
  return options;
}

template <class Check>
void for_all(LogOptions options, Check check) {
  for (TestSetup& setup : all_setups()) {
    if (setup.name.starts_with("null")) continue;  // It gives back nothing to clean.
    BOOST_TEST_CONTEXT(setup.name) {
      LogFixture fixture(std::move(setup), options);
      fixture.open();
      check(fixture);
    }
  }
}

Result<void> delete_before(LogFixture& fixture, std::int64_t start) {
  return await(*fixture.setup().world, [&] { return fixture.log().delete_before(Offset{start}); });
}

RetentionOutcome retain(LogFixture& fixture, std::int64_t now, std::int64_t limit = 1'000'000) {
  return must(await(*fixture.setup().world,
                    [&] { return fixture.log().apply_retention(WallMillis(now), Offset{limit}); }));
}

Result<CompactionOutcome> try_compact(LogFixture& fixture, std::int64_t now = 0,
                                      std::int64_t limit = 1'000'000) {
  return await(*fixture.setup().world,
               [&] { return fixture.log().compact(WallMillis(now), Offset{limit}); });
}

// All records, read one response after the other.
Texts texts(LogFixture& fixture) {
  Texts texts;
  Log& log = fixture.log();
  for (Offset at = log.start(); at < log.end();) {
    const ReadResult read = must(fixture.read(at.value(), 1'000'000, 300));
    BOOST_REQUIRE(read.next > at);
    for (std::string& text : keyed_texts(read.batches)) texts.push_back(std::move(text));
    at = read.next;
  }
  return texts;
}

// Four keys, twenty times over, in many segments.
void append_rounds(LogFixture& fixture, int rounds = 20) {
  for (int round = 0; round < rounds; ++round) {
    const std::string first = fmt::format("a={}", round);
    const std::string second = fmt::format("b={}", round);
    fixture.append(keyed_batch({first, second}, 0, 1000 + 10 * round));
  }
}

std::size_t files_that_end_with(LogFixture& fixture, std::string_view suffix) {
  const std::vector<std::string> names = must(fixture.setup().engine->list("topic-0"));
  return static_cast<std::size_t>(std::count_if(
      names.begin(), names.end(), [&](const std::string& name) { return name.ends_with(suffix); }));
}

BOOST_AUTO_TEST_SUITE(cleaning)

BOOST_AUTO_TEST_CASE(what_is_deleted_is_gone_for_good_and_its_segments_with_it) {
  for_all(LogFixture::small_segments(), [](LogFixture& fixture) {
    for (int i = 0; i < 30; ++i) fixture.append(make_batch(2, 1000 + i, 100), i / 10);
    const std::size_t before = files_that_end_with(fixture, ".log");
    must(delete_before(fixture, 31));
    const auto check = [&](const char* when) {
      BOOST_TEST_CONTEXT(when) {
        BOOST_TEST(fixture.log().start().value() == 31);
        BOOST_TEST(number(code_of(fixture.read(30))) == number(Errc::out_of_range));
        BOOST_TEST(fixture.bases().front() == 30);  // Of the batch that reaches across.
        BOOST_TEST(fixture.log().end().value() == 60);
        BOOST_TEST(fixture.find(0).first == 31);
        BOOST_TEST(fixture.log().end_of_epoch(LeaderEpoch{1}).end.value() == 40);
        BOOST_TEST(fixture.log().end_of_epoch(LeaderEpoch{0}).epoch.value() == -1);
        BOOST_TEST(fixture.log().end_of_epoch(LeaderEpoch{0}).end.value() == 31);
        BOOST_TEST(files_that_end_with(fixture, ".log") < before);
      }
    };
    check("as deleted");
    must(delete_before(fixture, 5));
    check("after a deletion of what is gone");
    if (!fixture.setup().engine->is_persistent()) return;
    fixture.kill_and_reopen();
    check("after a kill");
    fixture.reopen();
    check("after a close");
  });
}

BOOST_AUTO_TEST_CASE(a_log_of_which_all_is_deleted_goes_on_at_its_end) {
  for_all(LogFixture::small_segments(), [](LogFixture& fixture) {
    for (int i = 0; i < 12; ++i) fixture.append(make_batch(2, 1000 + i, 100), 4);
    BOOST_TEST(number(code_of(delete_before(fixture, 25))) == number(Errc::out_of_range));
    must(delete_before(fixture, 24));
    BOOST_TEST(fixture.log().start().value() == 24);
    if (fixture.setup().engine->is_persistent()) fixture.kill_and_reopen();
    BOOST_TEST(fixture.log().start().value() == 24);
    BOOST_TEST(fixture.log().end().value() == 24);
    BOOST_TEST(fixture.log().latest_epoch().value() == 4);
    BOOST_TEST(fixture.append(make_batch(3), 4).base.value() == 24);
    BOOST_TEST(fixture.bases() == Numbers{24});
  });
}

BOOST_AUTO_TEST_CASE(a_cut_through_the_batch_that_the_log_begins_in_leaves_it_empty) {
  for_all(LogFixture::small_segments(), [](LogFixture& fixture) {
    fixture.append(make_batch(10));
    must(delete_before(fixture, 5));
    fixture.truncate(7);
    BOOST_TEST(fixture.log().start().value() == 5);
    BOOST_TEST(fixture.log().end().value() == 5);
    BOOST_TEST(fixture.append(make_batch(1)).base.value() == 5);
  });
}

BOOST_AUTO_TEST_CASE(segments_that_are_too_old_go_up_to_the_limit) {
  LogOptions options = LogFixture::small_segments();
  options.retention = std::chrono::milliseconds(1000);
  options.segment_age_max = std::chrono::hours(1);
  for_all(options, [](LogFixture& fixture) {
    for (int i = 0; i < 30; ++i) fixture.append(make_batch(1, 1000 * i, 200));
    BOOST_TEST(retain(fixture, 1'000).segments == 0u);
    const RetentionOutcome some = retain(fixture, 21'000);
    BOOST_TEST(some.segments > 2u);
    BOOST_TEST(some.start == fixture.log().start());
    BOOST_TEST(fixture.log().start().value() > 10);
    BOOST_TEST(fixture.log().start().value() <= 21);
    BOOST_TEST(retain(fixture, 1'000'000, 25).start.value() <= 25);
    const RetentionOutcome all = retain(fixture, 1'000'000);
    BOOST_TEST(all.start.value() == 30);
    BOOST_TEST(fixture.log().end().value() == 30);
    BOOST_TEST(retain(fixture, 2'000'000).segments == 0u);
    BOOST_TEST(fixture.append(make_batch(1)).base.value() == 30);
  });
}

BOOST_AUTO_TEST_CASE(a_log_shrinks_to_its_retention_size) {
  LogOptions options = LogFixture::small_segments();
  options.retention_bytes = 2500;
  for_all(options, [](LogFixture& fixture) {
    for (int i = 0; i < 40; ++i) fixture.append(make_batch(1, 1000, 200));
    const std::uint64_t before = fixture.log().size_bytes();
    const RetentionOutcome outcome = retain(fixture, 1000);
    BOOST_TEST(outcome.bytes == before - fixture.log().size_bytes());
    BOOST_TEST(fixture.log().size_bytes() >= 2500u);
    BOOST_TEST(fixture.log().size_bytes() < 3500u);
    BOOST_TEST(fixture.bases().front() == fixture.log().start().value());
  });
}

BOOST_AUTO_TEST_CASE(an_old_active_segment_is_rolled_so_that_it_can_be_compacted) {
  LogOptions options = compacted();
  options.segment_bytes = 1u << 20;
  options.segment_age_max = std::chrono::milliseconds(50);
  for_all(options, [](LogFixture& fixture) {
    append_rounds(fixture, 3);
    BOOST_TEST(!must(try_compact(fixture, 1000)).ran);
    BOOST_TEST(must(try_compact(fixture, 1100)).ran);
    BOOST_TEST(texts(fixture) == (Texts{"4:a=2", "5:b=2"}));
  });
}

BOOST_AUTO_TEST_CASE(compaction_leaves_the_latest_of_each_key_and_every_answer_right) {
  for_all(compacted(), [](LogFixture& fixture) {
    append_rounds(fixture);
    fixture.append(keyed_batch({"a"}, 0, 2000));
    fixture.append(keyed_batch({"c=1"}, 0, 3000));
    fixture.append(keyed_batch({"d=1", "d=2", "d=3", "d=4", "d=5", "d=6", "d=7"}, 0, 4000));
    const CompactionOutcome outcome = must(try_compact(fixture, 5000));
    BOOST_TEST(outcome.ran);
    BOOST_TEST(outcome.bytes_after < outcome.bytes_before);
    const Texts expected = texts(fixture);
    const auto check = [&](const char* when) {
      BOOST_TEST_CONTEXT(when) {
        BOOST_TEST(texts(fixture) == expected);
        BOOST_TEST(expected.size() < 16u);
        BOOST_TEST(fixture.log().start().value() == 0);
        BOOST_TEST(fixture.log().end().value() == 49);
        BOOST_TEST(must(fixture.read(3, 1'000'000)).next.value() > 3);
        BOOST_TEST((fixture.find(2500) == std::pair<std::int64_t, std::int64_t>(41, 3000)));
        BOOST_TEST(files_that_end_with(fixture, ".cleaned") == 0u);
        BOOST_TEST(files_that_end_with(fixture, ".swap") == 0u);
      }
    };
    check("as compacted");
    fixture.reopen();
    check("after a close");
    fixture.kill_and_reopen();
    check("after a kill");
    BOOST_TEST(fixture.append(keyed_batch({"e=1"})).base.value() == 49);
  });
}

BOOST_AUTO_TEST_CASE(small_segments_become_one) {
  for_all(compacted(), [](LogFixture& fixture) {
    append_rounds(fixture);
    must(try_compact(fixture));
    append_rounds(fixture, 2);
    const std::size_t before = files_that_end_with(fixture, ".log");
    must(try_compact(fixture));
    BOOST_TEST(files_that_end_with(fixture, ".log") + 3 <= before);
    const Texts left = texts(fixture);
    BOOST_TEST(left.size() <= 6u);
    fixture.kill_and_reopen();
    BOOST_TEST(texts(fixture) == left);
  });
}

BOOST_AUTO_TEST_CASE(what_was_cleaned_is_not_cleaned_again_after_a_restart) {
  LogFixture fixture(make_setup(false, "buffered"), compacted());
  fixture.open();
  append_rounds(fixture);
  const CompactionOutcome first = must(try_compact(fixture));
  BOOST_TEST(first.ran);
  fixture.kill_and_reopen();
  const CompactionOutcome second = must(try_compact(fixture));
  BOOST_TEST(!second.ran);
  BOOST_TEST(second.clean_end == first.clean_end);
}

BOOST_AUTO_TEST_CASE(nothing_at_or_beyond_the_limit_is_cleaned) {
  for_all(compacted(), [](LogFixture& fixture) {
    append_rounds(fixture);
    const Texts all = texts(fixture);
    BOOST_TEST(!must(try_compact(fixture, 0, 1)).ran);
    BOOST_TEST(must(try_compact(fixture, 0, 20)).clean_end.value() <= 20);
    const Texts left = texts(fixture);
    BOOST_TEST(left.size() < all.size());
    const std::size_t tail = 20;  // The records from offset 20 on.
    BOOST_TEST(Texts(left.end() - tail, left.end()) == Texts(all.end() - tail, all.end()));
  });
}

BOOST_AUTO_TEST_CASE(a_tombstone_that_was_kept_long_enough_goes_with_the_next_pass) {
  for_all(compacted(), [](LogFixture& fixture) {
    fixture.append(keyed_batch({"a=1", "b=1"}));
    fixture.append(keyed_batch({"a"}));
    append_rounds(fixture, 4);
    const std::string a_deleted = "2:a";
    fixture.append(keyed_batch({"a"}));
    append_rounds(fixture, 0);
    for (int i = 0; i < 12; ++i) fixture.append(keyed_batch({fmt::format("z={}", i)}));
    must(try_compact(fixture, 5000));
    Texts left = texts(fixture);
    BOOST_TEST(std::count(left.begin(), left.end(), "11:a") == 1);
    for (int i = 0; i < 12; ++i) fixture.append(keyed_batch({fmt::format("z={}", i)}));
    must(try_compact(fixture, 5099));
    left = texts(fixture);
    BOOST_TEST(std::count(left.begin(), left.end(), "11:a") == 1);
    for (int i = 0; i < 12; ++i) fixture.append(keyed_batch({fmt::format("z={}", i)}));
    must(try_compact(fixture, 5100));
    left = texts(fixture);
    BOOST_TEST(std::count(left.begin(), left.end(), "11:a") == 0);
  });
}

BOOST_AUTO_TEST_CASE(a_cut_into_a_gap_ends_before_it_and_a_restart_agrees) {
  for_all(compacted(), [](LogFixture& fixture) {
    append_rounds(fixture);
    must(try_compact(fixture));
    const Texts left = texts(fixture);
    // Into the middle of what was cleaned, where hardly anything is left.
    fixture.truncate(17);
    const std::int64_t end = fixture.log().end().value();
    BOOST_TEST(end <= 17);
    fixture.reopen();
    BOOST_TEST(fixture.log().end().value() == end);
    fixture.append(keyed_batch({"x=1"}), 1);
    fixture.kill_and_reopen();
    BOOST_TEST(texts(fixture).back() == fmt::format("{}:x=1", end));
    BOOST_TEST(must(try_compact(fixture)).clean_end.value() <= end + 1);
  });
}

BOOST_AUTO_TEST_CASE(a_follower_takes_the_gaps_of_a_compacted_log_and_keeps_them) {
  for_all(compacted(), [](LogFixture& fixture) {
    must(fixture.follow(keyed_batch({"a=1"}, 0)));
    Bytes two = keyed_batch({"b=1"}, 10);
    const Bytes second = keyed_batch({"c=1"}, 20);
    two.insert(two.end(), second.begin(), second.end());
    BOOST_TEST(must(fixture.follow(two)).next.value() == 21);
    BOOST_TEST(fixture.log().durable_end().value() == 21);
    must(fixture.follow(keyed_batch({"d=1"}, 21)));
    BOOST_TEST(number(code_of(fixture.follow(keyed_batch({"e=1"}, 5)))) ==
               number(Errc::out_of_range));
    const Texts expected{"0:a=1", "10:b=1", "20:c=1", "21:d=1"};
    BOOST_TEST(texts(fixture) == expected);
    BOOST_TEST(must(fixture.read(4)).next.value() == 22);
    fixture.kill_and_reopen();
    BOOST_TEST(texts(fixture) == expected);
    fixture.truncate(15);
    BOOST_TEST(fixture.log().end().value() == 11);
    fixture.kill_and_reopen();
    BOOST_TEST(texts(fixture) == (Texts{"0:a=1", "10:b=1"}));
  });
}

BOOST_AUTO_TEST_CASE(a_gap_where_none_may_be_is_refused_and_after_a_crash_ends_the_log) {
  LogFixture fixture(make_setup(false, "buffered"));
  fixture.open();
  must(fixture.follow(keyed_batch({"a=1"}, 0)));
  BOOST_TEST(number(code_of(fixture.follow(keyed_batch({"b=1"}, 10)))) ==
             number(Errc::out_of_range));
  // The same bytes in the file, behind what is known to be durable.
  fixture.kill();
  const std::string path = "topic-0/00000000000000000000.log";
  Bytes bytes = must(fixture.disk().read_file(path));
  const Bytes more = keyed_batch({"b=1"}, 10);
  bytes.insert(bytes.end(), more.begin(), more.end());
  must(fixture.disk().write_file_atomically(path, bytes));
  fixture.open();
  BOOST_TEST(fixture.log().end().value() == 1);
  BOOST_TEST(fixture.log().recovery().dropped.has_value());
}

// What overlaps a compaction, and how both ended.
struct Overlap {
  std::optional<Result<CompactionOutcome>> compaction;
  std::optional<Result<void>> other;
};

Task<void> run_compaction(Log& log, Overlap& overlap) {
  overlap.compaction = co_await log.compact(WallMillis(0), Offset{1'000'000});
}

template <class Other>
Task<void> compact_beside(runtime::Runtime& runtime, Log& log, Overlap& overlap, Other other) {
  runtime::Gate gate(runtime);
  gate.start([&log, &overlap] { return run_compaction(log, overlap); });
  bool writes = false;
  while (!writes && !overlap.compaction) {
    co_await runtime::sleep_for(runtime, std::chrono::microseconds(1));
    writes = runtime.disk().exists(fmt::format("topic-0/{:020}{}", 0, cleaned_suffix)).value();
  }
  BOOST_TEST(!overlap.compaction.has_value());
  overlap.other = co_await other(log);
  co_await gate.close();
}

Task<Result<void>> append_and_read(Log& log) {
  for (int i = 0; i < 20; ++i) {
    const std::vector<std::string_view> one(1, "a=x");
    Bytes batch = keyed_batch(one);
    CO_TRY_VOID(co_await log.append_as_leader(std::move(batch), LeaderEpoch{0}));
    CO_TRY_VOID(co_await log.sync());
    for (Offset at = log.start(); at < log.end();) {
      CO_TRY(const ReadResult read, co_await log.read(at, log.end(), 300));
      if (read.next <= at) co_return fail(Errc::corrupt, "a read stands still");
      at = read.next;
    }
  }
  co_return Result<void>{};
}

BOOST_AUTO_TEST_CASE(appends_reads_and_syncs_go_on_during_a_compaction) {
  for (const char* engine : {"buffered", "uring"}) {
    LogFixture fixture(make_setup(false, engine), compacted());
    fixture.open();
    append_rounds(fixture);
    Overlap overlap;
    fixture.setup().world->run([&] {
      return compact_beside(fixture.setup().world->runtime(), fixture.log(), overlap,
                            append_and_read);
    });
    must(*overlap.other);
    BOOST_TEST(must(*overlap.compaction).ran);
    BOOST_TEST(fixture.log().end().value() == 60);
  }
}

BOOST_AUTO_TEST_CASE(a_compaction_ends_when_the_log_is_cut_deleted_from_or_closed) {
  using Act = Task<Result<void>> (*)(Log&);
  const std::vector<std::pair<const char*, Act>> acts{
      {"cut", [](Log& log) { return log.truncate_to(Offset{3}); }},
      {"begun anew", [](Log& log) { return log.reset_to(Offset{100}); }},
      {"deleted from", [](Log& log) { return log.delete_before(Offset{20}); }},
      {"closed", [](Log& log) { return log.close(); }},
      {"removed", [](Log& log) { return log.remove(); }}};
  for (const auto& [name, act] : acts) {
    BOOST_TEST_CONTEXT(name) {
      LogFixture fixture(make_setup(false, "buffered"), compacted());
      fixture.open();
      append_rounds(fixture);
      Overlap overlap;
      fixture.setup().world->run([&, &act = act] {
        return compact_beside(fixture.setup().world->runtime(), fixture.log(), overlap, act);
      });
      must(*overlap.other);
      BOOST_TEST(number(code_of(*overlap.compaction)) == number(Errc::aborted));
      BOOST_TEST(files_that_end_with(fixture, ".cleaned") == 0u);
      fixture.kill_and_reopen();
    }
  }
}

BOOST_AUTO_TEST_CASE(a_disk_that_is_full_ends_a_compaction_and_not_the_log) {
  LogFixture fixture(make_setup(false, "buffered"), compacted());
  fixture.open();
  append_rounds(fixture);
  const Texts before = texts(fixture);
  fixture.sync();
  fixture.setup().world->set_fault_hook([](const runtime::DiskAccess& access) {
    const bool hit =
        access.operation == runtime::DiskOperation::write && access.path.ends_with(cleaned_suffix);
    return runtime::DiskFault{.delay = {}, .error = hit ? ENOSPC : 0, .torn = 0};
  });
  BOOST_TEST(number(code_of(try_compact(fixture))) == number(Errc::no_space));
  fixture.setup().world->set_fault_hook({});
  BOOST_TEST(texts(fixture) == before);
  fixture.append(keyed_batch({"a=x"}));
  BOOST_TEST(must(try_compact(fixture)).ran);
}

BOOST_AUTO_TEST_CASE(a_damaged_compaction_point_is_named_and_not_guessed) {
  const CompactionPoint point{Offset{12}, Offset{34}};
  BOOST_TEST((decode_compaction_point(encode_compaction_point(point)).value() == point));
  for (std::string text : {"", "version: 0\n", "version: 0\nclean: 1\ngaps: 2\ncrc32c: 3\n"}) {
    BOOST_TEST((decode_compaction_point(text).error().code == Errc::corrupt));
  }
  LogFixture fixture(make_setup(false, "buffered"), compacted());
  fixture.open();
  fixture.close();
  must(fixture.disk().write_file_atomically("topic-0/compaction-point", as_view("clean: 1\n")));
  BOOST_TEST(fixture.try_open().error().context ==
             "topic-0/compaction-point: a compaction point does not match its checksum");
  must(fixture.disk().remove("topic-0/compaction-point"));
  fixture.open();
}

BOOST_AUTO_TEST_CASE(options_of_cleaning_out_of_bounds_name_key_value_and_range) {
  LogOptions options;
  options.retention = std::chrono::milliseconds(-2);
  BOOST_TEST(options.validate().error().context ==
             "log.retention.ms=-2 is not in [-1, 9223372036854775807]");
  options = {};
  options.cleanable_ratio_min = 1.5;
  BOOST_TEST(options.validate().error().context ==
             "log.cleaner.min.cleanable.ratio=1.5 is not in [0, 1]");
  BOOST_TEST((parse_cleanup_policy("compact,delete").value() == CleanupPolicy::both));
  BOOST_TEST(parse_cleanup_policy("none").error().context ==
             "cleanup.policy=none is unknown; allowed are delete, compact, and both with a comma "
             "between them");
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace qlab::storage
