#pragma once
// One shard's shared log with the streams in it: what every handle (shared_log.h) asks.
//
// A change of a stream is a frame of the shared log. It takes effect, in memory as at a replay,
// when its frame is written; whoever needs it durable waits for a sync as well.
//
// Thread: one shard.

#include <list>
#include <memory>
#include <optional>
#include <string>

#include "storage/log.h"
#include "storage/log_name.h"
#include "storage/retention.h"
#include "storage/shared/options.h"
#include "storage/shared/settled_files.h"
#include "storage/shared/settler.h"
#include "storage/turnstile.h"

namespace qlab::storage::shared {

// The stores of all shards lie below it.
inline constexpr std::string_view stores_directory = "shared";

class Store final : private WalObserver {
 public:
  // `directory` is the store's own.
  Store(runtime::Runtime& runtime, Engine& engine, SharedOptions options, std::string directory);
  ~Store() override;

  // As Layout::start() and stop().
  Task<Result<void>> start();
  Task<Result<void>> stop();

  // The stream of that name; a new one when there is none, or one under another topic id, which is
  // removed. Errors: as Layout::open().
  Task<Result<StreamId>> open(std::string name, TopicId topic);

  // As of Layout.
  Task<Result<std::vector<LogName>>> find_strays(Tenants tenants);
  Task<Result<void>> remove(std::vector<LogName> logs);

  // An append to it comes soon: of a million streams it is hardly ever in the cache.
  void prefetch(StreamId id) const { streams_.prefetch(id); }
  // As the calls of Log, for one stream. Requires: it was opened and not removed.
  Task<Result<AppendResult>> append_as_leader(StreamId id, Bytes batches, LeaderEpoch epoch);
  Task<Result<AppendResult>> append_as_follower(StreamId id, Bytes batches, bool may_have_gaps);
  Task<Result<Offset>> sync(StreamId id);
  Task<Result<ReadResult>> read(StreamId id, Offset from, Offset limit, std::size_t bytes_max);
  Task<Result<std::optional<Log::TimestampOffset>>> find_timestamp(StreamId id,
                                                                   std::int64_t timestamp,
                                                                   Offset limit);
  Task<Result<void>> truncate_to(StreamId id, Offset end);
  Task<Result<void>> reset_to(StreamId id, Offset start);
  Task<Result<void>> delete_before(StreamId id, Offset start);
  Task<Result<RetentionOutcome>> apply_retention(StreamId id, LogOptions options, WallMillis now,
                                                 Offset limit);
  Task<Result<CompactionOutcome>> compact(StreamId id, LogOptions options, WallMillis now,
                                          Offset limit);
  Task<Result<void>> remove(StreamId id);

  // An empty one when there is none of that id.
  const Stream& stream(StreamId id);
  const RecoveryReport& recovery() const { return report_; }
  LayoutRecovery layout_recovery() const;
  // One that is equal and lives as long as the store.
  const LogOptions* keep(const LogOptions& options);
  // Sees to it that what is written now is durable then.
  void flush_within(Duration interval);

 private:
  // WalObserver.
  void on_written(const WalGroup& group) override;
  void on_refused(const WalGroup& group) override;
  void on_durable(const WalGroup& group) override;
  Task<Result<void>> wait_for_room() override;

  Task<Result<AppendResult>> append(StreamId id, Bytes batches, std::vector<BatchHeader> headers);
  void log_stream(WalGroup& group, StreamId id, Stream& stream);
  // Waits until nobody else cuts the stream and nothing of it is about to be written, and keeps
  // appends away until release().
  Task<Result<void>> claim(StreamId id);
  void release(StreamId id);
  Task<Result<void>> cut(StreamId id, FrameKind kind, Offset offset, std::uint64_t size_bytes);
  Task<Result<void>> truncate_claimed(StreamId id, Offset end);
  // The settled batches from the one on that ends beyond `offset`; nothing when what comes next is
  // not settled.
  Task<Result<std::optional<SettledRun>>> find_settled(StreamId id, Offset offset,
                                                       std::size_t count);
  // Bytes of all batches that end beyond `from` and begin before `to`.
  Task<Result<std::uint64_t>> bytes_between(StreamId id, Offset from, Offset to);
  Task<Result<ReadResult>> read_settled(SettledRun run, Offset from, Offset limit,
                                        std::size_t bytes_max);
  Task<Result<ReadResult>> read_batches(StreamId id, std::vector<UnsettledBatch> wanted,
                                        Offset from);
  Task<void> flush_in_groups();
  Task<void> remove_each(std::vector<LogName>& logs, Result<void>& result);

  // One pass of compaction over [from, to) of a stream.
  struct Compaction {
    StreamId id;
    Offset from;
    Offset to;
    Offset dirty_from;
    std::uint32_t cuts = 0;  // The stream's, when it began.
    WallMillis now{};
  };
  struct Cleaning;
  Task<Result<void>> delete_claimed(StreamId id, Offset start);
  Task<Result<SegmentFacts>> segment_at(StreamId id, Offset from, std::uint64_t bytes_max);
  Task<Result<ReadResult>> read_for(Compaction job, Offset from, Offset to);
  Task<Result<void>> map_keys(Cleaning& cleaning);
  static Result<void> add_cleaned(Cleaning& cleaning, SettledWriter& writer, ByteView batch,
                                  const BatchHeader& header);
  Task<Result<void>> copy_cleaned(Cleaning& cleaning, SettledWriter& writer, Offset to);
  Task<Result<CompactionOutcome>> compact_range(Compaction job, LogOptions options);
  Task<Result<void>> replace_files(Compaction job, std::unique_ptr<SettledWriter> writer,
                                   Offset to);
  bool is_persistent() const { return engine_.is_persistent(); }

  runtime::Runtime& runtime_;
  Engine& engine_;
  const SharedOptions options_;
  const std::string directory_;
  StreamTable streams_;
  Wal wal_;
  SettledFiles files_;
  Settler settler_;
  RecoveryReport report_;
  std::list<LogOptions> kept_options_;

  Turnstile readers_;               // Alone: whoever ends the store.
  Turnstile cleaning_;              // Retention and compaction come one at a time.
  runtime::Event released_;         // A stream is not busy any more.
  std::uint32_t last_segment_ = 0;  // That was written to.
  std::optional<Time> flush_due_;
  runtime::Event flush_changed_;
  bool stopping_ = false;
  bool flushing_ = false;
  runtime::Gate background_;
};

}  // namespace qlab::storage::shared
