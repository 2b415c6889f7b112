// Reads back what was appended: a segment's bytes, or a log's batches.

#include "common/check.h"
#include "storage/bench/appends.h"
#include "storage/bench/driver.h"
#include "storage/bench/logs.h"
#include "storage/bench/modes.h"
#include "storage/bench/page_cache.h"
#include "storage/bench/world.h"

namespace qlab::storage::bench {
namespace {

// Where each of several readers goes on. Sequential ones divide what there is among them and begin
// again at the front; a random one jumps each time.
class Cursors {
 public:
  // Requires: places > 0.
  Cursors(const BenchOptions& options, std::uint64_t places)
      : order_(options.order), places_(places), prng_(options.seed) {
    for (std::uint64_t i = 0; i < options.concurrency; ++i) {
      free_.push_back(places * i / options.concurrency);
    }
  }

  std::uint64_t take() {
    if (order_ == Order::random || free_.empty()) return prng_.below(places_);
    const std::uint64_t place = free_.back();
    free_.pop_back();
    return place;
  }
  void give_back(std::uint64_t next) {
    if (order_ == Order::sequential) free_.push_back(next >= places_ ? 0 : next);
  }

 private:
  const Order order_;
  const std::uint64_t places_;
  Prng prng_;
  std::vector<std::uint64_t> free_;
};

class SegmentReads final : public Target {
 public:
  SegmentReads(World& world, const BenchOptions& options)
      : world_(world), options_(options), cursors_(options, options.bytes / options.size) {}

  Task<Result<void>> start() override {
    const Bytes payload = random_bytes(options_.size, options_.seed);
    CO_TRY(segment_, co_await world_.engine().open("segment"));
    for (std::uint64_t i = 0; i < options_.bytes / options_.size; ++i) {
      CO_TRY_VOID(co_await segment_->append(std::vector<ByteView>(1, payload)));
    }
    CO_TRY_VOID(co_await segment_->sync());
    co_return make_cold(world_.root(), options_.cold);
  }

  Task<Result<std::uint64_t>> operate() override {
    const std::uint64_t place = cursors_.take();
    CO_TRY(const Bytes bytes, co_await segment_->read(place * options_.size, options_.size));
    cursors_.give_back(place + 1);
    co_return bytes.size();
  }

  Task<Result<void>> stop() override { co_return co_await segment_->close(); }

 private:
  World& world_;
  const BenchOptions options_;
  Cursors cursors_;
  std::unique_ptr<Segment> segment_;
};

// Batches of 4 KiB, read `size` bytes at a time.
class LogReads final : public Target {
 public:
  static constexpr std::uint64_t batch_bytes = 4096;

  LogReads(World& world, const BenchOptions& options)
      : world_(world), options_(options), cursors_(options, options.bytes / batch_bytes) {}

  Task<Result<void>> start() override {
    CO_TRY(layout_, make_layout(options_.layout, world_.runtime(), world_.engine(),
                                options_.layout_options));
    CO_TRY_VOID(co_await layout_->start());
    CO_TRY(logs_, co_await open_logs(world_.runtime(), *layout_, options_.log_options, 1, 1));
    BenchOptions appends = options_;
    appends.size = batch_bytes;
    appends.log_options.durability = Durability::none;
    const std::unique_ptr<Target> target = make_log_appends(logs_, appends);
    CO_TRY_VOID(co_await target->start());
    for (std::uint64_t i = 0; i < options_.bytes / batch_bytes; ++i) {
      CO_TRY_VOID(co_await target->operate());
    }
    CO_TRY_VOID(co_await logs_.front()->sync());
    co_return make_cold(world_.root(), options_.cold);
  }

  Task<Result<std::uint64_t>> operate() override {
    Log& log = *logs_.front();
    const Offset from{static_cast<std::int64_t>(cursors_.take())};
    CO_TRY(const ReadResult read, co_await log.read(from, log.end(), options_.size));
    cursors_.give_back(static_cast<std::uint64_t>(read.next.value()));
    co_return read.batches.size();
  }

  Task<Result<void>> stop() override {
    CO_TRY_VOID(co_await close_logs(logs_));
    co_return co_await layout_->stop();
  }

 private:
  World& world_;
  const BenchOptions options_;
  Cursors cursors_;
  std::unique_ptr<Layout> layout_;
  std::vector<std::unique_ptr<Log>> logs_;
};

Task<Result<void>> measure(World& world, BenchOptions options, Output& output) {
  std::unique_ptr<Target> target;
  if (options.level == Level::segment) {
    target = std::make_unique<SegmentReads>(world, options);
  } else {
    target = std::make_unique<LogReads>(world, options);
  }
  CO_TRY_VOID(co_await target->start());
  const Cached files = cached(world.root());
  const Run run = co_await drive(world.runtime(), *target, options, world.device());
  Json figures = {{"file_bytes", files.bytes}, {"file_bytes_cached_before", files.bytes_cached}};
  figures.update(run.to_json(options.rate > 0, world.device()));
  figures.update(to_json(holdings()));
  CO_TRY_VOID(output.print("read", figures, world.root()));
  const Result<void> stopped = co_await target->stop();
  if (run.measurement.errors() > 0) co_return Result<void>{};  // The line tells it.
  co_return stopped;
}

}  // namespace

Result<void> run_read(const BenchOptions& options, Output& output) {
  if (options.bytes < options.size) {
    return fail(Errc::invalid, "--bytes={}: less than one read of {}", options.bytes, options.size);
  }
  BenchOptions whole = options;
  // What was read once is not cold any more.
  whole.bytes_max =
      options.cold == Cold::no ? std::numeric_limits<std::uint64_t>::max() : options.bytes;
  TRY(const ScratchDirectory scratch, ScratchDirectory::make(options.directory));
  TRY(const std::unique_ptr<World> world, World::make(whole, scratch.path()));
  return world->run([&] { return measure(*world, whole, output); });
}

}  // namespace qlab::storage::bench
