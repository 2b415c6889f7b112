// What every layout promises, on every engine: logs of several partitions that open, close, are
// cut, deleted and made anew side by side, and are there again after a restart or a kill.

#include <algorithm>

#include "storage/layout.h"
#include "storage/log_fixture.h"

namespace qlab::storage {
namespace {

using Numbers = std::vector<std::int64_t>;

class LayoutFixture {
 public:
  template <class Make>
  auto run(Make make) {
    return await(*setup_.world, std::move(make));
  }

  LayoutFixture(std::string_view layout, TestSetup setup)
      : layout_name_(layout), setup_(std::move(setup)) {
    boot();
    must(run([&] { return process_->layout->start(); }));
  }
  ~LayoutFixture() { stop(); }
  LayoutFixture(const LayoutFixture&) = delete;

  Log& open(std::size_t index, std::uint64_t topic = 1, LogOptions options = {}) {
    const LogName name{fmt::format("topic-{}", index), TopicId{1, topic}};
    auto& logs = process_->logs;
    if (logs.size() <= index) logs.resize(index + 1);
    logs[index] = must(run([&] { return process_->layout->open(name, options); }));
    return *logs[index];
  }
  Log& log(std::size_t index) { return *process_->logs[index]; }
  void close(std::size_t index) {
    must(run([&] { return log(index).close(); }));
    process_->logs[index].reset();
  }
  Log& reopen(std::size_t index, std::uint64_t topic = 1) {
    close(index);
    return open(index, topic);
  }
  // A new layout on what the last one left. Requires: the engine is persistent.
  void restart() {
    stop();
    process_->layout = make();
    must(run([&] { return process_->layout->start(); }));
  }
  // The same without a stop, where that can be done.
  void kill() {
    if (!setup_.world->can_kill()) return restart();
    for (const auto& log : process_->logs) {
      if (log) must(run([&] { return log->sync(); }));
    }
    setup_.world->kill();
    boot();
    must(run([&] { return process_->layout->start(); }));
  }
  Layout& layout() { return *process_->layout; }
  bool is_persistent() const { return setup_.engine->is_persistent(); }

  void append(std::size_t index, Bytes batch, std::int32_t epoch = 0) {
    must(run([&] { return log(index).append_as_leader(batch, LeaderEpoch{epoch}); }));
  }
  // The base offsets of all batches.
  Numbers bases(std::size_t index) {
    Numbers bases;
    for (Offset at = log(index).start(); at < log(index).end();) {
      const ReadResult result =
          must(run([&] { return log(index).read(at, log(index).end(), 300); }));
      BOOST_REQUIRE(result.next > at);
      for (const BatchHeader& header : must(check_batches(result.batches))) {
        bases.push_back(header.base_offset.value());
      }
      at = result.next;
    }
    return bases;
  }

 private:
  struct Process {
    std::unique_ptr<Layout> layout;
    std::vector<std::unique_ptr<Log>> logs;
  };

  void boot() {
    setup_.world->boot([this] {
      auto process = std::make_shared<Process>();
      process->layout = make();
      process_ = process.get();
      return process;
    });
  }
  std::unique_ptr<Layout> make() {
    LayoutOptions options;
    options.shared.segment_bytes = 4096;
    options.shared.bytes_max = 64u << 10;
    options.shared.checkpoint_bytes = 16u << 10;
    options.shared.cache_bytes = 8192;
    return std::move(
        make_layout(layout_name_, setup_.world->runtime(), *setup_.engine, options).value());
  }
  void stop() {
    for (std::size_t i = 0; i < process_->logs.size(); ++i) {
      if (process_->logs[i]) close(i);
    }
    must(run([&] { return process_->layout->stop(); }));
  }

  const std::string_view layout_name_;
  TestSetup setup_;
  Process* process_ = nullptr;
};

template <class Check>
void for_all(Check check) {
  for (const std::string_view layout : layout_names()) {
    for (TestSetup& setup : all_setups()) {
      BOOST_TEST_CONTEXT(layout << ", " << setup.name) {
        LayoutFixture fixture(layout, std::move(setup));
        check(fixture);
      }
    }
  }
}

BOOST_AUTO_TEST_SUITE(layout_contract)

BOOST_AUTO_TEST_CASE(partitions_do_not_see_one_another) {
  for_all([](LayoutFixture& fixture) {
    for (std::size_t i = 0; i < 3; ++i) fixture.open(i);
    for (int i = 0; i < 30; ++i) {
      for (std::size_t at = 0; at < 3; ++at) {
        fixture.append(at, make_batch(static_cast<int>(at) + 1, 1000 + i, 100));
      }
    }
    for (std::size_t at = 0; at < 3; ++at) {
      Numbers expected;
      for (int i = 0; i < 30; ++i) expected.push_back(i * (static_cast<int>(at) + 1));
      BOOST_TEST(fixture.bases(at) == expected);
      BOOST_TEST(fixture.reopen(at).end().value() == 30 * (static_cast<int>(at) + 1));
      BOOST_TEST(fixture.bases(at) == expected);
    }
  });
}

BOOST_AUTO_TEST_CASE(what_was_synced_is_there_after_a_restart_and_after_a_kill) {
  for_all([](LayoutFixture& fixture) {
    if (!fixture.is_persistent()) return;
    for (int life = 0; life < 4; ++life) {
      for (std::size_t i = 0; i < 3; ++i) {
        BOOST_TEST(fixture.open(i).end().value() == 20 * life);
        BOOST_TEST((fixture.log(i).durable_end() == fixture.log(i).end()));
      }
      for (int i = 0; i < 10; ++i) {
        for (std::size_t at = 0; at < 3; ++at) fixture.append(at, make_batch(2, 1000, 100), life);
      }
      life % 2 == 0 ? fixture.kill() : fixture.restart();
    }
    fixture.open(1);
    BOOST_TEST(fixture.bases(1).size() == 40u);
    BOOST_TEST(fixture.log(1).end_of_epoch(LeaderEpoch{1}).end.value() == 40);
  });
}

BOOST_AUTO_TEST_CASE(a_namesake_of_another_topic_begins_empty) {
  for_all([](LayoutFixture& fixture) {
    fixture.open(0, 1);
    for (int i = 0; i < 10; ++i) fixture.append(0, make_batch(2, 1000, 300), 3);
    if (!fixture.is_persistent()) return;
    BOOST_TEST(fixture.reopen(0, 2).end().value() == 0);
    BOOST_TEST(fixture.log(0).latest_epoch().value() == -1);
    fixture.append(0, make_batch(1));
    fixture.kill();
    BOOST_TEST(fixture.open(0, 2).end().value() == 1);
    BOOST_TEST(fixture.bases(0) == Numbers{0});
  });
}

BOOST_AUTO_TEST_CASE(a_cut_or_removed_log_leaves_its_neighbours_alone) {
  for_all([](LayoutFixture& fixture) {
    for (std::size_t i = 0; i < 3; ++i) fixture.open(i);
    for (int i = 0; i < 20; ++i) {
      for (std::size_t at = 0; at < 3; ++at) fixture.append(at, make_batch(2, 1000, 150), i / 5);
    }
    const std::uint64_t size = fixture.log(1).size_bytes();
    must(fixture.run([&] { return fixture.log(0).truncate_to(Offset{7}); }));
    must(fixture.run([&] { return fixture.log(2).remove(); }));
    BOOST_TEST(fixture.bases(0) == (Numbers{0, 2, 4}));
    BOOST_TEST(fixture.bases(1).size() == 20u);
    BOOST_TEST(fixture.log(1).size_bytes() == size);
    BOOST_TEST(fixture.open(2).end().value() == 0);
    fixture.append(0, make_batch(1), 9);
    BOOST_TEST(fixture.bases(0) == (Numbers{0, 2, 4, 6}));
    must(fixture.run([&] { return fixture.log(1).reset_to(Offset{500}); }));
    fixture.append(1, make_batch(1));
    BOOST_TEST(fixture.bases(1) == Numbers{500});
    if (!fixture.is_persistent()) return;
    fixture.kill();
    fixture.open(0);
    BOOST_TEST(fixture.bases(0) == (Numbers{0, 2, 4, 6}));
    BOOST_TEST(fixture.open(1).start().value() == 500);
    BOOST_TEST(fixture.open(2).end().value() == 0);
  });
}

BOOST_AUTO_TEST_CASE(a_closed_log_can_still_be_removed) {
  for_all([](LayoutFixture& fixture) {
    for (std::size_t i = 0; i < 2; ++i) {
      fixture.open(i);
      fixture.append(i, make_batch(2, 1000, 150));
      must(fixture.run([&] { return fixture.log(i).close(); }));
      must(fixture.run([&] { return fixture.log(i).remove(); }));
    }
    BOOST_TEST(fixture.open(0).end().value() == 0);
    BOOST_TEST(fixture.open(1).end().value() == 0);
    if (!fixture.is_persistent()) return;
    fixture.append(0, make_batch(1));
    fixture.kill();
    BOOST_TEST(fixture.open(0).end().value() == 1);
    BOOST_TEST(fixture.open(1).end().value() == 0);
  });
}

// What find_strays() finds where only these partitions have tenants, of the topic {1, 1}.
std::vector<LogName> strays(LayoutFixture& fixture, std::vector<std::string> tenants) {
  const Tenants belongs = [&tenants](std::string_view name) -> std::optional<TopicId> {
    const bool is_here = std::ranges::find(tenants, name) != tenants.end();
    return is_here ? std::optional(TopicId{1, 1}) : std::nullopt;
  };
  auto found = must(fixture.run([&] { return fixture.layout().find_strays(belongs); }));
  std::ranges::sort(found, {}, &LogName::partition);
  return found;
}

BOOST_AUTO_TEST_CASE(logs_without_a_tenant_are_found_and_removed_and_the_others_stay) {
  for (const bool is_clean : {true, false}) {
    for_all([is_clean](LayoutFixture& fixture) {
      for (std::size_t i = 0; i < 4; ++i) {
        fixture.open(i);
        fixture.append(i, make_batch(2, 1000, 300));
      }
      fixture.open(4);  // Has nothing.
      is_clean || !fixture.is_persistent() ? fixture.restart() : fixture.kill();
      if (!fixture.is_persistent()) {
        BOOST_TEST(strays(fixture, {}).empty());
        return;
      }
      const std::vector<std::string> here{"topic-0", "topic-2"};
      auto gone = strays(fixture, here);
      BOOST_REQUIRE(gone.size() == 2u);
      BOOST_TEST((gone[0].partition == "topic-1" && gone[1].partition == "topic-3"));
      BOOST_TEST((gone[0].topic == TopicId{1, 1}));
      gone.push_back({"topic-0", TopicId{1, 9}});  // A namesake of what is there.
      gone.push_back({"topic-7", TopicId{1, 1}});
      must(fixture.run([&] { return fixture.layout().remove(gone); }));
      BOOST_TEST(strays(fixture, here).empty());
      // Also for whoever comes back, and for the next life.
      BOOST_TEST(fixture.open(1).end().value() == 0);
      fixture.append(1, make_batch(1));
      fixture.kill();
      BOOST_TEST(strays(fixture, {"topic-0", "topic-1", "topic-2"}).empty());
      BOOST_TEST(fixture.open(0).end().value() == 2);
      BOOST_TEST(fixture.open(1).end().value() == 1);
      BOOST_TEST(fixture.open(2).end().value() == 2);
      BOOST_TEST(fixture.open(3).end().value() == 0);
    });
  }
}

BOOST_AUTO_TEST_CASE(a_log_of_a_deleted_topic_gives_way_to_the_tenant_of_its_name) {
  for_all([](LayoutFixture& fixture) {
    if (!fixture.is_persistent()) return;
    fixture.open(0, 2);
    fixture.append(0, make_batch(2, 1000, 300));
    fixture.restart();
    // Where it lies in the tenant's place, open() removes it.
    const auto gone = strays(fixture, {"topic-0"});
    BOOST_TEST(gone.size() <= 1u);
    must(fixture.run([&] { return fixture.layout().remove(gone); }));
    BOOST_TEST(fixture.open(0, 1).end().value() == 0);
    fixture.append(0, make_batch(1));
    fixture.kill();
    BOOST_TEST(strays(fixture, {"topic-0"}).empty());
    BOOST_TEST(fixture.open(0, 1).end().value() == 1);
  });
}

BOOST_AUTO_TEST_CASE(what_is_deleted_is_gone_for_good) {
  for_all([](LayoutFixture& fixture) {
    Log& log = fixture.open(0);
    for (int i = 0; i < 20; ++i) fixture.append(0, make_batch(2, 1000, 150), i / 10);
    must(fixture.run([&] { return log.delete_before(Offset{9}); }));
    BOOST_TEST(log.start().value() == 9);
    const auto below = fixture.run([&] { return log.read(Offset{8}, Offset{40}, 1000); });
    BOOST_TEST(number(code_of(below)) == number(Errc::out_of_range));
    // A batch that reaches across the start is read whole.
    BOOST_TEST(fixture.bases(0).front() == 8);
    const auto beyond = fixture.run([&] { return log.delete_before(Offset{41}); });
    BOOST_TEST(number(code_of(beyond)) == number(Errc::out_of_range));
    if (!fixture.is_persistent()) return;
    fixture.kill();
    BOOST_TEST(fixture.open(0).start().value() == 9);
    must(fixture.run([&] { return fixture.log(0).delete_before(Offset{40}); }));
    fixture.restart();
    BOOST_TEST(fixture.open(0).start().value() == 40);
    BOOST_TEST(fixture.log(0).end().value() == 40);
    BOOST_TEST(fixture.log(0).latest_epoch().value() == 1);
  });
}

BOOST_AUTO_TEST_CASE(retention_deletes_what_is_too_old_or_too_much) {
  for_all([](LayoutFixture& fixture) {
    LogOptions options;
    options.segment_bytes = 1000;
    options.retention = WallMillis(500);
    fixture.open(0, 1, options);
    for (int i = 0; i < 20; ++i) fixture.append(0, make_batch(2, 100 * i, 150));
    must(fixture.run([&] { return fixture.log(0).sync(); }));
    const auto apply = [&](std::int64_t now) {
      return must(
          fixture.run([&] { return fixture.log(0).apply_retention(WallMillis(now), Offset{40}); }));
    };
    BOOST_TEST(apply(400).segments == 0u);
    const RetentionOutcome old = apply(1500);
    BOOST_TEST(old.segments > 0u);
    BOOST_TEST(old.start.value() > 10);
    BOOST_TEST(old.start.value() <= 20);
    BOOST_TEST(fixture.log(0).start().value() == old.start.value());

    options.retention = WallMillis(-1);
    options.retention_bytes = 2000;
    fixture.close(0);
    fixture.open(0, 1, options);
    BOOST_TEST(apply(0).segments > 0u);
    BOOST_TEST(fixture.log(0).size_bytes() >= 2000u);
    BOOST_TEST(fixture.log(0).size_bytes() < 3500u);
  });
}

// A batch of one record with that key.
Bytes keyed(std::string_view key, std::string_view value) {
  std::vector<Record> records(1);
  records[0].timestamp = 1000;
  records[0].key = bytes_of(key);
  records[0].value = bytes_of(value);
  return encode_batch(records);
}

BOOST_AUTO_TEST_CASE(compaction_keeps_the_latest_record_of_each_key) {
  for_all([](LayoutFixture& fixture) {
    LogOptions options;
    options.segment_bytes = 1000;
    options.cleanup_policy = CleanupPolicy::compact;
    options.cleanable_ratio_min = 0;
    fixture.open(0, 1, options);
    fixture.open(1, 1, options);
    for (int i = 0; i < 60; ++i) {
      fixture.append(0, keyed(fmt::format("key {}", i % 3), fmt::format("value {}", i)));
      fixture.append(1, keyed("other", "value"));
    }
    const auto compact = [&] {
      return must(
          fixture.run([&] { return fixture.log(0).compact(WallMillis(2000), Offset{60}); }));
    };
    const CompactionOutcome outcome = compact();
    BOOST_TEST(outcome.ran);
    BOOST_TEST(outcome.records_kept < outcome.records_read);
    const Numbers left = fixture.bases(0);
    BOOST_TEST(left.size() < 40u);
    BOOST_TEST(left.back() == 59);
    BOOST_TEST(fixture.log(0).end().value() == 60);
    BOOST_TEST(fixture.bases(1).size() == 60u);
    fixture.append(0, keyed("key 0", "last"));
    if (!fixture.is_persistent()) return;
    fixture.kill();
    fixture.open(0, 1, options);
    Numbers expected = left;
    expected.push_back(60);
    BOOST_TEST(fixture.bases(0) == expected);
    fixture.open(1, 1, options);
    BOOST_TEST(fixture.bases(1).size() == 60u);
  });
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace qlab::storage
