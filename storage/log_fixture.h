#pragma once
// A log on one engine of one world, for the tests of this folder: its calls awaited, its batches
// made.

#include <memory>
#include <string>
#include <vector>

#include "common/record_batch.h"
#include "storage/log.h"
#include "storage/test_world.h"

namespace qlab::storage {

// One uncompressed batch of `count` records, whose timestamps count up from `timestamp`.
inline Bytes make_batch(int count, std::int64_t timestamp = 1000, std::size_t value_bytes = 10) {
  std::vector<Record> records;
  for (int i = 0; i < count; ++i) {
    Record record;
    record.timestamp = timestamp + i;
    record.value = Bytes(value_bytes, static_cast<std::byte>('a' + i % 26));
    records.push_back(std::move(record));
  }
  return encode_batch(records);
}

class LogFixture {
 public:
  explicit LogFixture(TestSetup setup, LogOptions options = small_segments())
      : setup_(std::move(setup)), options_(options) {
    boot();
  }
  ~LogFixture() {
    if (*log_) close();
  }
  LogFixture(const LogFixture&) = delete;

  // Segments of 1000 bytes with an index entry every 200: what is rare at scale happens at once.
  static LogOptions small_segments() {
    LogOptions options;
    options.segment_bytes = 1000;
    options.index_interval_bytes = 200;
    return options;
  }

  Result<void> try_open() {
    auto opened = await(*setup_.world, [&] {
      return Log::open(setup_.world->runtime(), *setup_.engine, "topic-0", options_);
    });
    if (!opened) return fail(opened.error());
    *log_ = std::move(*opened);
    return {};
  }
  Log& open() {
    must(try_open());
    return log();
  }
  void close() {
    must(await(*setup_.world, [&] { return log().close(); }));
    log_->reset();
  }
  Log& reopen() {
    close();
    return open();
  }
  void kill() {
    setup_.world->kill();
    boot();
  }
  // Requires: the simulated world.
  void cut_power() {
    auto& world = static_cast<SimulatedTestWorld&>(*setup_.world).world();
    world.crash(SimulatedTestWorld::node, {.lose_unsynced = true, .silent = false});
    boot();
  }
  // On the real world, which cannot, it is closed. What an engine keeps in memory of the process is
  // synced before, as far as it can be.
  Log& kill_and_reopen() {
    if (!setup_.world->can_kill()) return reopen();
    const bool survives =
        setup_.engine->is_synced_by_filesystem() || !setup_.engine->is_persistent();
    if (!survives) (void)await(*setup_.world, [&] { return log().sync(); });
    kill();
    return open();
  }

  AppendResult append(Bytes batches, std::int32_t epoch = 0) {
    return must(try_append(std::move(batches), epoch));
  }
  Result<AppendResult> try_append(Bytes batches, std::int32_t epoch = 0) {
    return await(*setup_.world,
                 [&] { return log().append_as_leader(batches, LeaderEpoch{epoch}); });
  }
  Result<AppendResult> follow(Bytes batches) {
    return await(*setup_.world, [&] { return log().append_as_follower(batches); });
  }
  std::int64_t sync() {
    return must(await(*setup_.world, [&] { return log().sync(); })).value();
  }
  Result<ReadResult> read(std::int64_t from, std::int64_t limit = 1'000'000,
                          std::size_t bytes_max = 1u << 20) {
    return await(*setup_.world, [&] { return log().read(Offset{from}, Offset{limit}, bytes_max); });
  }
  // The base offsets of all batches, read one response after the other.
  std::vector<std::int64_t> bases(std::size_t bytes_max = 300) {
    std::vector<std::int64_t> bases;
    Offset at = log().start();
    while (at < log().end()) {
      const ReadResult result = must(read(at.value(), 1'000'000, bytes_max));
      BOOST_REQUIRE(result.next > at);
      const std::vector<BatchHeader> headers = must(check_batches(result.batches));
      for (const BatchHeader& header : headers) {
        bases.push_back(header.base_offset.value());
      }
      at = result.next;
    }
    return bases;
  }
  void truncate(std::int64_t end) {
    must(await(*setup_.world, [&] { return log().truncate_to(Offset{end}); }));
  }
  void reset(std::int64_t start) {
    must(await(*setup_.world, [&] { return log().reset_to(Offset{start}); }));
  }
  // Offset and timestamp found, or {-1, -1}.
  std::pair<std::int64_t, std::int64_t> find(std::int64_t timestamp,
                                             std::int64_t limit = 1'000'000) {
    const auto found =
        must(await(*setup_.world, [&] { return log().find_timestamp(timestamp, Offset{limit}); }));
    if (!found) return {-1, -1};
    return {found->offset.value(), found->timestamp};
  }

  Log& log() { return **log_; }
  TestSetup& setup() { return setup_; }
  runtime::Disk& disk() { return setup_.world->runtime().disk(); }
  LogOptions& options() { return options_; }
  std::vector<std::string> files() { return must(disk().list("topic-0")); }

 private:
  // The log lives and dies with the process.
  void boot() {
    setup_.world->boot([this] {
      auto owner = std::make_shared<std::unique_ptr<Log>>();
      log_ = owner.get();
      return owner;
    });
  }

  TestSetup setup_;
  LogOptions options_;
  std::unique_ptr<Log>* log_ = nullptr;
};

inline int number(Errc code) {
  return static_cast<int>(code);
}

}  // namespace qlab::storage
