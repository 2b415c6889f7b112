// A log that is deleted from, compacted and removed while it is written, against the plain list of
// its records, through crashes at any point of any life, in every layout.

#include <map>
#include <set>

#include "runtime/async.h"
#include "storage/keyed_records.h"
#include "storage/log_fixture.h"
#include "storage/per_partition_layout.h"
#include "storage/seed_range.h"
#include "storage/shared/shared_layout.h"

namespace qlab::storage {
namespace {

// One record as it was appended.
struct Entry {
  std::string key;
  std::optional<std::string> value;  // None: a tombstone.
};

// What a reader of some records ends with.
using View = std::map<std::string, std::string>;

void see(View& view, const std::string& key, const std::optional<std::string>& value) {
  if (value) view[key] = *value;
  if (!value) view.erase(key);
}

// The process: what a crash takes with it.
struct Process {
  std::unique_ptr<Engine> engine;
  std::unique_ptr<Layout> layout;
  std::unique_ptr<Log> log;
  std::unique_ptr<runtime::Gate> gate;
};

// One log through many lives.
class Lives {
 public:
  Lives(std::uint64_t seed, std::string_view layout)
      : world_(seed), random_(seed * 104'729 + 3), layout_name_(layout) {
    const auto engines = persistent_engine_names();
    engine_name_ = engines[random_.below(engines.size())];
    layout_options_.group_sync = random_.chance(0.5) ? GroupSync::files : GroupSync::filesystem;
    SharedOptions& shared = layout_options_.shared;
    shared.segment_bytes = static_cast<std::uint64_t>(random_.between(300, 3000));
    shared.bytes_max = shared.segment_bytes * (4 + random_.below(8));
    shared.checkpoint_bytes = static_cast<std::uint64_t>(random_.between(200, 6000));
    shared.cache_bytes = random_.chance(0.5) ? 0 : random_.below(5000);
    options_.segment_bytes = static_cast<std::uint64_t>(random_.between(200, 900));
    options_.index_interval_bytes = static_cast<std::uint32_t>(random_.between(0, 300));
    options_.cleanup_policy = random_.chance(0.5) ? CleanupPolicy::compact : CleanupPolicy::both;
    options_.retention_bytes = random_.chance(0.3) ? 1500 : -1;
    options_.cleanable_ratio_min = 0;
    options_.delete_retention = WallMillis(random_.between(0, 30));
    options_.dedupe_buffer_bytes = 24 * (3 + random_.below(30));
  }

  void run(int lives) {
    for (int life = 0; life < lives; ++life) {
      BOOST_TEST_CONTEXT("life " << life) {
        live();
      }
    }
    boot();
    BOOST_REQUIRE(finish(start_and_check()));
    BOOST_REQUIRE(finish(close()));
  }
  int compactions() const { return compactions_; }

 private:
  static constexpr NodeId node = SimulatedTestWorld::node;

  bool is_up() { return world_.world().node(node).is_up(); }

  void boot() {
    world_.world().boot(node, [this](runtime::Runtime& runtime) {
      auto process = std::make_shared<Process>();
      process->engine = std::move(make_engine(engine_name_, runtime).value());
      // Of bounds smaller than a node may ask for.
      process->layout = find_layout(runtime, *process->engine);
      process->gate = std::make_unique<runtime::Gate>(runtime);
      process_ = process.get();
      return process;
    });
  }

  std::unique_ptr<Layout> find_layout(runtime::Runtime& runtime, Engine& engine) const {
    if (layout_name_ == "shared") return make_shared_layout(runtime, engine, layout_options_);
    return make_per_partition_layout(runtime, engine, layout_options_);
  }

  // True when the task ended, false when the node went down in it.
  bool finish(Task<void> task) {
    const auto outcome = runtime::begin(world_.world(), node, std::move(task));
    const auto ended = world_.world().run_until(
        [&] { return outcome->value.has_value() || !is_up(); }, std::chrono::hours(1));
    BOOST_REQUIRE_MESSAGE(ended.has_value(), (ended ? "" : ended.error().message()));
    return outcome->value.has_value() && is_up();
  }

  void live() {
    boot();
    world_.disk().crash_at_change(1 + random_.below(random_.chance(0.3) ? 40 : 800));
    if (!finish(start_and_check())) return;
    const auto work = runtime::begin(world_.world(), node, do_something());
    const auto down = [&] { return work->value.has_value() || !is_up(); };
    BOOST_REQUIRE(world_.world().run_until(down, std::chrono::hours(1)).has_value());
    if (is_up()) world_.world().crash(node, {.lose_unsynced = true, .silent = false});
  }

  Task<void> start_and_check() {
    const auto started = co_await process_->layout->start();
    if (!is_up()) co_return;
    BOOST_REQUIRE_MESSAGE(started.has_value(), (started ? "" : started.error().message()));
    co_await open_and_check();
  }

  Task<void> open_and_check() {
    LogName name{"t-0", TopicId{0, topic_}};
    auto opened = co_await process_->layout->open(std::move(name), options_);
    if (opened) process_->log = std::move(*opened);
    if (!is_up()) co_return;
    BOOST_REQUIRE_MESSAGE(opened.has_value(), (opened ? "" : opened.error().message()));
    Log& log = *process_->log;
    const std::int64_t end = log.end().value();
    // Nothing that was promised is lost, and nothing deleted comes back.
    BOOST_TEST(end >= floor_);
    BOOST_TEST(log.start().value() >= start_);
    BOOST_TEST(log.start().value() <= std::max(start_, start_max_));
    records_.erase(records_.lower_bound(end), records_.end());
    start_ = start_max_ = log.start().value();
    floor_ = end;
    end_ = end;
    compacting_ = false;
    co_await check();
  }

  // Everything that is there was appended there, and ends in what all of it would have ended in.
  Task<void> check() {
    Log& log = *process_->log;
    const Offset start = log.start();
    const Offset end = log.end();
    View seen;
    for (Offset at = start; at < end;) {
      const auto read = co_await log.read(at, end, 1u << 20);
      if (!is_up()) co_return;
      BOOST_REQUIRE_MESSAGE(read.has_value(), (read ? "" : read.error().message()));
      BOOST_REQUIRE(read->next > at);
      look_at(read->batches, start, seen);
      at = read->next;
    }
    View expected;
    for (const auto& [offset, entry] : records_) {
      if (offset >= start.value() && offset < end.value()) see(expected, entry.key, entry.value);
    }
    BOOST_TEST_REQUIRE((seen == expected));
  }

  void look_at(ByteView batches, Offset start, View& seen) {
    while (!batches.empty()) {
      const BatchHeader header = check_batch(batches).value();
      const std::vector<Record> found = decode_records(batches).value();
      for (const Record& record : found) {
        const std::int64_t offset = header.base_offset.plus(record.offset_delta).value();
        if (offset < start.value()) continue;
        const auto written = records_.find(offset);
        BOOST_REQUIRE_MESSAGE(written != records_.end(), "nothing was appended at " << offset);
        const std::string key(as_text(*record.key));
        std::optional<std::string> value;
        if (record.value) value = as_text(*record.value);
        BOOST_REQUIRE((key == written->second.key && value == written->second.value));
        see(seen, key, value);
      }
      batches = batches.subspan(header.total_bytes());
    }
  }

  // Below the clean end no key has two records.
  Task<void> check_clean(Offset clean_end) {
    Log& log = *process_->log;
    std::set<std::string> keys;
    for (Offset at = log.start(); at < std::min(clean_end, log.end());) {
      const auto read = co_await log.read(at, log.end(), 1u << 20);
      // Another call may have closed the log, or deleted from it, meanwhile.
      if (!is_up() || !read) co_return;
      const std::vector<std::string> texts = keyed_texts(read->batches);
      for (const std::string& text : texts) {
        const std::size_t colon = text.find(':');
        if (std::stoll(text.substr(0, colon)) >= clean_end.value()) continue;
        if (std::stoll(text.substr(0, colon)) < log.start().value()) continue;
        const std::string key = text.substr(colon + 1, text.find('=') - colon - 1);
        BOOST_TEST(keys.insert(key).second, key << " has two records below " << clean_end);
      }
      at = read->next;
    }
  }

  Task<void> close() {
    const auto closed = co_await process_->log->close();
    BOOST_TEST(closed.has_value());
    const auto stopped = co_await process_->layout->stop();
    BOOST_TEST(stopped.has_value());
  }

  Task<void> do_something() {
    while (true) {
      co_await do_one();
      if (!is_up()) co_return;
      if (random_.chance(0.1) && !compacting_) co_await check();
      if (!is_up()) co_return;
    }
  }

  Task<void> do_one() {
    Log& log = *process_->log;
    now_ += static_cast<std::int64_t>(random_.below(10));
    const std::uint64_t dice = random_.below(100);
    if (dice < 60) {
      co_await append_one();
    } else if (dice < 75) {
      const auto synced = co_await log.sync();
      if (synced && is_up()) floor_ = std::max(floor_, synced->value());
    } else if (dice < 80) {
      co_await truncate();
    } else if (dice < 83 && start_ <= floor_) {
      start_max_ = std::max(start_max_, random_.between(start_, floor_));
      const std::int64_t to = start_max_;
      const auto deleted = co_await log.delete_before(Offset{to});
      if (deleted && is_up()) start_ = std::max(start_, to);
    } else if (dice >= 83 && dice < 87) {
      start_max_ = std::max(start_max_, floor_);
      limit_ = std::max(limit_, floor_);
      const auto retained = co_await log.apply_retention(WallMillis(now_), Offset{floor_});
      if (retained && is_up()) start_ = start_max_ = retained->start.value();
    } else if (dice >= 87 && dice < 97 && !compacting_) {
      compacting_ = true;
      limit_ = std::max(limit_, floor_);
      process_->gate->start([this, limit = Offset{limit_}] { return compact(limit); });
    } else if (dice == 97 && random_.chance(0.3)) {
      co_await remove();
    } else if (dice >= 97) {
      co_await reopen();
    }
  }

  // From the call on another topic has the name, and nothing of this one may be seen in it.
  Task<void> remove() {
    topic_ += 1;
    records_.clear();
    floor_ = limit_ = start_ = start_max_ = end_ = 0;
    const auto removed = co_await process_->log->remove();
    if (!is_up()) co_return;
    BOOST_REQUIRE_MESSAGE(removed.has_value(), (removed ? "" : removed.error().message()));
    co_await start_anew();
  }

  // `limit` is where the high watermark was when it was asked for; what lies beyond may yet be cut.
  Task<void> compact(Offset limit) {
    const auto done = co_await process_->log->compact(WallMillis(now_), limit);
    if (!is_up()) co_return;
    compacting_ = false;
    if (!done || !done->ran) co_return;
    compactions_ += 1;
    co_await check_clean(done->clean_end);
  }

  Task<void> append_one() {
    std::vector<std::string> texts;
    std::vector<Entry> entries;
    for (std::uint64_t i = 0; i < 1 + random_.below(4); ++i) {
      Entry entry{fmt::format("k{}", random_.below(10)), {}};
      if (random_.chance(0.75)) entry.value = std::to_string(random_.below(1000));
      texts.push_back(entry.value ? fmt::format("{}={}", entry.key, *entry.value) : entry.key);
      entries.push_back(std::move(entry));
    }
    const std::int64_t base = end_;
    for (std::size_t i = 0; i < entries.size(); ++i) {
      records_[base + static_cast<std::int64_t>(i)] = entries[i];
    }
    const std::vector<std::string_view> views(texts.begin(), texts.end());
    Bytes batch = keyed_batch(views, 0, now_);
    const auto appended =
        co_await process_->log->append_as_leader(std::move(batch), LeaderEpoch{0});
    if (!is_up()) co_return;
    BOOST_REQUIRE_MESSAGE(appended.has_value(), (appended ? "" : appended.error().message()));
    BOOST_TEST(appended->base.value() == base);
    end_ = appended->next.value();
  }

  // Never below what may have been compacted: that is committed.
  Task<void> truncate() {
    Log& log = *process_->log;
    const std::int64_t least = std::max(start_max_, limit_);
    if (least > end_) co_return;
    const std::int64_t to = random_.between(least, end_);
    const std::int64_t floor = floor_;
    floor_ = std::min(floor_, to - 4);  // If it ends in a crash: a batch has four records at most.
    const auto cut = co_await log.truncate_to(Offset{to});
    if (!is_up()) co_return;
    BOOST_REQUIRE_MESSAGE(cut.has_value(), (cut ? "" : cut.error().message()));
    end_ = log.end().value();
    floor_ = std::min(floor, end_);
    records_.erase(records_.lower_bound(end_), records_.end());
  }

  Task<void> reopen() {
    const auto closed = co_await process_->log->close();
    if (!is_up()) co_return;
    BOOST_REQUIRE_MESSAGE(closed.has_value(), (closed ? "" : closed.error().message()));
    floor_ = end_;
    co_await start_anew();
  }

  // Requires: the log is closed.
  Task<void> start_anew() {
    co_await process_->gate->close();
    if (!is_up()) co_return;
    process_->gate = std::make_unique<runtime::Gate>(world_.runtime());
    compacting_ = false;
    co_await open_and_check();
  }

  SimulatedTestWorld world_;
  Prng random_;
  const std::string_view layout_name_;
  LayoutOptions layout_options_;
  std::string engine_name_;
  LogOptions options_;
  Process* process_ = nullptr;
  std::map<std::int64_t, Entry> records_;  // By offset; of the append under way, too.
  std::int64_t end_ = 0;                   // Of the log, as of the last call that ended.
  std::int64_t floor_ = 0;                 // Everything below it was promised to survive.
  std::int64_t limit_ = 0;                 // What lies below it may have been compacted.
  std::int64_t start_ = 0;                 // Nothing below it may come back.
  std::int64_t start_max_ = 0;  // Where the log may begin, if the call under way was carried out.
  std::int64_t now_ = 1000;
  std::uint64_t topic_ = 1;
  bool compacting_ = false;
  int compactions_ = 0;  // That ended.
};

BOOST_AUTO_TEST_SUITE(cleaning_property)

BOOST_AUTO_TEST_CASE(a_crash_at_any_point_loses_no_latest_value_and_brings_nothing_back) {
  const SeedRange seeds = seeds_up_to(120);
  for (const std::string_view layout : layout_names()) {
    int compactions = 0;
    for (std::uint64_t seed = seeds.first; seed <= seeds.last; ++seed) {
      BOOST_TEST_CONTEXT(layout << ", seed " << seed) {
        Lives lives(seed, layout);
        lives.run(10);
        compactions += lives.compactions();
      }
    }
    if (!seeds.is_asked_for) BOOST_TEST(compactions > 300);
  }
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace qlab::storage
