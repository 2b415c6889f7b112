#pragma once
// A handle on one stream of a store: Log's implementation. Thin, because a million are open.

#include "storage/shared/store.h"

namespace qlab::storage::shared {

class SharedLog final : public Log {
 public:
  // Requires: the store outlives it.
  SharedLog(Store& store, StreamId id, const LogOptions* options)
      : store_(&store), options_(options), id_(id) {}

  Task<Result<AppendResult>> append_as_leader(Bytes batches, LeaderEpoch epoch) override;
  Task<Result<AppendResult>> append_as_follower(Bytes batches) override;
  Task<Result<Offset>> sync() override;
  Task<Result<ReadResult>> read(Offset from, Offset limit, std::size_t bytes_max) override;
  Task<Result<std::optional<TimestampOffset>>> find_timestamp(std::int64_t timestamp,
                                                              Offset limit) override;
  Task<Result<void>> truncate_to(Offset end) override;
  Task<Result<void>> reset_to(Offset start) override;
  Task<Result<void>> delete_before(Offset start) override;
  Task<Result<RetentionOutcome>> apply_retention(WallMillis now, Offset limit) override;
  Task<Result<CompactionOutcome>> compact(WallMillis now, Offset limit) override;
  Task<Result<void>> close() override;
  Task<Result<void>> remove() override;

  EpochEnd end_of_epoch(LeaderEpoch epoch) const override;
  LeaderEpoch latest_epoch() const override { return stream().epochs.latest(); }
  Offset start() const override { return stream().start; }
  Offset end() const override { return stream().end; }
  Offset durable_end() const override { return stream().durable_end; }
  std::uint64_t size_bytes() const override { return stream().size_bytes; }
  const RecoveryReport& recovery() const override { return store_->recovery(); }

 private:
  const Stream& stream() const { return store_->stream(id_); }
  Task<Result<AppendResult>> flush_after(Task<Result<AppendResult>> append);

  Store* const store_;
  const LogOptions* const options_;
  const StreamId id_;
  bool closed_ = false;
  bool removed_ = false;
};

}  // namespace qlab::storage::shared
