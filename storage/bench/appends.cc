#include "storage/bench/appends.h"

#include "common/check.h"
#include "common/record_batch.h"
#include "runtime/disk.h"
#include "storage/bench/logs.h"

namespace qlab::storage::bench {
namespace {

// A segment at a time, each removed when the next one has taken its place.
class Lane {
 public:
  Lane(runtime::Runtime& runtime, Engine& engine, const BenchOptions& options, std::uint64_t index)
      : engine_(engine), options_(options), index_(index), changed_(runtime) {}

  Task<Result<void>> start() { co_return co_await open_next(); }

  Task<Result<std::uint64_t>> append(ByteView bytes) {
    CO_TRY(std::shared_ptr<Segment> segment, co_await segment_for(bytes.size()));
    // Fills the place at once, so that operations that overlap do not overfill the segment.
    filled_ += bytes.size();
    ++segment_users_;
    Result<void> appended = co_await append_to(segment, bytes);
    --segment_users_;
    changed_.notify_all();
    CO_TRY_VOID(std::move(appended));
    co_return bytes.size();
  }

  // With durability group: what was appended so far. Does nothing while the segment changes.
  Task<Result<void>> sync() {
    if (rolling_ || !segment_) co_return Result<void>{};
    const std::shared_ptr<Segment> segment = segment_;
    ++segment_users_;
    const auto synced = co_await segment->sync();
    --segment_users_;
    changed_.notify_all();
    CO_TRY_VOID(synced);
    co_return Result<void>{};
  }

  Task<Result<void>> stop() {
    if (!segment_) co_return Result<void>{};
    Result<void> closed = co_await segment_->close();
    segment_.reset();
    CO_TRY_VOID(std::move(closed));
    co_return engine_.remove(path_);
  }

 private:
  Task<Result<void>> append_to(std::shared_ptr<Segment> segment, ByteView bytes) {
    CO_TRY_VOID(co_await segment->append(std::vector<ByteView>(1, bytes)));
    if (options_.log_options.durability != Durability::sync) co_return Result<void>{};
    const auto synced = co_await segment->sync();
    CO_TRY_VOID(synced);
    co_return Result<void>{};
  }

  // Waits for a roll that is under way, or does one when the segment is full.
  Task<Result<std::shared_ptr<Segment>>> segment_for(std::size_t bytes) {
    while (rolling_) co_await changed_.wait();
    if (failure_) co_return fail(*failure_);
    if (filled_ + bytes > options_.log_options.segment_bytes) {
      rolling_ = true;
      const Result<void> rolled = co_await roll();
      if (!rolled) failure_ = rolled.error();
      rolling_ = false;
      changed_.notify_all();
    }
    if (failure_) co_return fail(*failure_);
    co_return segment_;
  }

  Task<Result<void>> roll() {
    while (segment_users_ > 0) co_await changed_.wait();
    const std::string old = path_;
    const std::shared_ptr<Segment> full = std::exchange(segment_, nullptr);
    CO_TRY_VOID(co_await full->close());
    CO_TRY_VOID(engine_.remove(old));
    co_return co_await open_next();
  }

  Task<Result<void>> open_next() {
    path_ = fmt::format("segments/{}-{}", index_, number_++);
    CO_TRY(segment_, co_await engine_.open(path_));
    filled_ = 0;
    co_return Result<void>{};
  }

  Engine& engine_;
  const BenchOptions& options_;
  const std::uint64_t index_;
  runtime::Event changed_;  // A roll ended, or a user of the segment left.
  std::shared_ptr<Segment> segment_;
  std::string path_;
  std::uint64_t number_ = 0;
  std::uint64_t filled_ = 0;  // Bytes of the segment that are taken; <= segment_bytes.
  std::uint64_t segment_users_ = 0;
  bool rolling_ = false;
  std::optional<Error> failure_;  // Of a roll.
};

// What durability group does at the level of segments: a sync every group_interval.
class GroupSyncs {
 public:
  GroupSyncs(runtime::Runtime& runtime, Duration interval, std::function<Task<void>()> sync)
      : runtime_(runtime), interval_(interval), sync_(std::move(sync)), gate_(runtime) {}

  void start() {
    gate_.start([this] { return loop(); });
  }
  Task<void> stop() {
    stopping_ = true;
    co_await gate_.close();
  }

 private:
  Task<void> loop() {
    while (!stopping_) {
      co_await runtime::sleep_for(runtime_, interval_);
      co_await sync_();
    }
  }

  runtime::Runtime& runtime_;
  const Duration interval_;
  const std::function<Task<void>()> sync_;
  runtime::Gate gate_;
  bool stopping_ = false;
};

class SegmentAppends final : public Target {
 public:
  SegmentAppends(runtime::Runtime& runtime, Engine& engine, const BenchOptions& options)
      : runtime_(runtime),
        engine_(engine),
        options_(options),
        chooser_(options.spread, options.partitions, options.seed),
        payload_(random_bytes(options.size, options.seed)),
        syncs_(runtime, options.log_options.group_interval, [this] { return sync_all(); }) {}

  Task<Result<void>> start() override {
    CO_TRY_VOID(runtime_.disk().make_directories("segments"));
    for (std::uint64_t i = 0; i < options_.partitions; ++i) {
      lanes_.push_back(std::make_unique<Lane>(runtime_, engine_, options_, i));
      CO_TRY_VOID(co_await lanes_.back()->start());
    }
    if (options_.log_options.durability == Durability::group) syncs_.start();
    co_return Result<void>{};
  }

  Task<Result<std::uint64_t>> operate() override {
    return lanes_[chooser_.next()]->append(payload_);
  }

  Task<Result<void>> stop() override {
    co_await syncs_.stop();
    Result<void> outcome;
    for (const auto& lane : lanes_) {
      Result<void> stopped = co_await lane->stop();
      if (outcome && !stopped) outcome = std::move(stopped);
    }
    co_return outcome;
  }

 private:
  Task<void> sync_all() {
    for (const auto& lane : lanes_) {
      // A segment that cannot be synced is poisoned, and the next append says so.
      const Result<void> ignored = co_await lane->sync();
      (void)ignored;
    }
  }

  runtime::Runtime& runtime_;
  Engine& engine_;
  const BenchOptions options_;
  Chooser chooser_;
  const Bytes payload_;
  std::vector<std::unique_ptr<Lane>> lanes_;
  GroupSyncs syncs_;
};

// On logs that are open.
class LogAppends final : public Target {
 public:
  LogAppends(const std::vector<std::unique_ptr<Log>>& logs, const BenchOptions& options)
      : logs_(logs),
        syncs_(options.log_options.durability == Durability::sync),
        chooser_(options.spread, options.partitions, options.seed),
        batch_(batch_of(options.size, options.seed)) {}

  Task<Result<void>> start() override {
    for (std::size_t i = 0; i < known_ahead; ++i) choose(i);
    co_return Result<void>{};
  }

  Task<Result<std::uint64_t>> operate() override {
    Log& log = *next_log();
    Bytes batch = batch_;
    CO_TRY_VOID(co_await log.append_as_leader(std::move(batch), LeaderEpoch{0}));
    if (syncs_) CO_TRY_VOID(co_await log.sync());
    co_return batch_.size();
  }

  Task<Result<void>> stop() override { co_return Result<void>{}; }

 private:
  // Which log comes next is known that many operations ahead. What this program itself keeps of the
  // logs, a pointer and a handle for each, is fetched from memory meanwhile: a figure about many
  // logs is about what the logs cost and not about how the bench finds them.
  static constexpr std::size_t known_ahead = 16;

  void choose(std::size_t place) {
    upcoming_[place] = &logs_[chooser_.next()];
    __builtin_prefetch(upcoming_[place]);
  }
  Log* next_log() {
    const std::size_t place = turn_++ % known_ahead;
    Log* const log = upcoming_[place]->get();
    choose(place);
    __builtin_prefetch(upcoming_[(turn_ + known_ahead / 2) % known_ahead]->get());
    return log;
  }

  const std::vector<std::unique_ptr<Log>>& logs_;
  const bool syncs_;
  Chooser chooser_;
  const Bytes batch_;
  std::array<const std::unique_ptr<Log>*, known_ahead> upcoming_{};
  std::size_t turn_ = 0;
};

// With a layout and logs of its own.
class LayoutAppends final : public Target {
 public:
  LayoutAppends(runtime::Runtime& runtime, Engine& engine, const BenchOptions& options)
      : runtime_(runtime), engine_(engine), options_(options), appends_(logs_, options) {}

  Task<Result<void>> start() override {
    CO_TRY(layout_, make_layout(options_.layout, runtime_, engine_, options_.layout_options));
    CO_TRY_VOID(co_await layout_->start());
    CO_TRY(logs_, co_await open_logs(runtime_, *layout_, options_.log_options, options_.partitions,
                                     options_.layout_options.recovery_parallelism));
    co_return co_await appends_.start();
  }

  Task<Result<std::uint64_t>> operate() override { return appends_.operate(); }

  Task<Result<void>> stop() override {
    CO_TRY_VOID(co_await close_logs(logs_));
    co_return co_await layout_->stop();
  }

 private:
  runtime::Runtime& runtime_;
  Engine& engine_;
  const BenchOptions options_;
  std::unique_ptr<Layout> layout_;
  std::vector<std::unique_ptr<Log>> logs_;
  LogAppends appends_;
};

}  // namespace

std::unique_ptr<Target> make_segment_appends(runtime::Runtime& runtime, Engine& engine,
                                             const BenchOptions& options) {
  return std::make_unique<SegmentAppends>(runtime, engine, options);
}

std::unique_ptr<Target> make_log_appends(runtime::Runtime& runtime, Engine& engine,
                                         const BenchOptions& options) {
  return std::make_unique<LayoutAppends>(runtime, engine, options);
}

std::unique_ptr<Target> make_log_appends(const std::vector<std::unique_ptr<Log>>& logs,
                                         const BenchOptions& options) {
  return std::make_unique<LogAppends>(logs, options);
}

Bytes random_bytes(std::uint64_t count, std::uint64_t seed) {
  Prng prng(seed);
  Bytes bytes(count);
  for (std::byte& byte : bytes) byte = static_cast<std::byte>(prng.next());
  return bytes;
}

Bytes batch_of(std::uint64_t size, std::uint64_t seed) {
  // The lengths inside are varints. Where one of them grows, a size is passed over, and is reached
  // with a record of a few bytes in front.
  for (std::size_t filler = 0; filler < 8; ++filler) {
    std::vector<Record> records(filler == 0 ? 1 : 2);
    if (filler > 0) records.front().key = random_bytes(filler - 1, seed);
    for (std::size_t i = 0; i < records.size(); ++i) {
      records[i].offset_delta = static_cast<std::int32_t>(i);
      records[i].timestamp = 0;
    }
    std::uint64_t value_bytes = 0;
    for (int i = 0; i < 4; ++i) {
      records.back().value = random_bytes(value_bytes, seed);
      Bytes batch = encode_batch(records);
      if (batch.size() == size) return batch;
      value_bytes += size - batch.size();
    }
  }
  CHECK_MSG(false, fmt::format("no batch has {} bytes", size));
  return {};
}

}  // namespace qlab::storage::bench
