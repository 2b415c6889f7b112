// How batches come to the end of a log.

#include <algorithm>
#include <limits>

#include "common/check.h"
#include "storage/partition_log.h"

namespace qlab::storage {
namespace {

// Indexes hold offsets relative to their segment's base in 31 bits.
constexpr std::int64_t relative_offset_max = std::numeric_limits<std::int32_t>::max();

// The header at the front of whole batches whose checksums were looked at before: the payload is
// not touched.
Result<BatchHeader> front_header(ByteView batches) {
  Result<BatchHeader> header = decode_batch_header(batches);
  if (header && header->total_bytes() > batches.size()) {
    header = fail(Errc::invalid, "an append ends within its last batch");
  }
  return header;
}

// One write carries at most this much of what waits, so that the first is not held up by a long
// tail, and few enough pieces for one vectored system call.
constexpr std::size_t group_bytes_max = 1u << 20;
constexpr std::size_t group_appends_max = 512;

}  // namespace

// An append that waits for the write before it, or leads the next one. It lives in the frame of
// its call.
struct PartitionLog::Append {
  Bytes batches;
  std::optional<LeaderEpoch> epoch;               // None: a leader stamped them already.
  AppendResult range{};                           // Once it has its place.
  std::optional<runtime::Completion<bool>> turn;  // Without it nobody waits.
  std::optional<Result<AppendResult>> result;     // Set once written, or not.

  void end(Result<AppendResult> outcome) {
    result = std::move(outcome);
    if (turn && !turn->is_set()) turn->set(true);
  }
};

Task<Result<AppendResult>> PartitionLog::append_as_leader(Bytes batches, LeaderEpoch epoch) {
  return append(std::move(batches), epoch);
}

Task<Result<AppendResult>> PartitionLog::append_as_follower(Bytes batches) {
  return append(std::move(batches), std::nullopt);
}

Task<Result<AppendResult>> PartitionLog::append(Bytes batches, std::optional<LeaderEpoch> epoch) {
  if (!leading_) {
    const std::optional<Turnstile::Guard> turn = turns().appends.try_enter_alone();
    if (turn) {
      Front front = this->front();
      CO_TRY(const AppendResult range, place(batches, epoch, front));
      std::optional<Result<AppendResult>> written;
      if (!front.has_gap) written = try_write(batches, range);
      if (written) co_return std::move(*written);
    }
  }
  co_return co_await append_in_group(std::move(batches), epoch);
}

// An engine that has to wait for a write is given one for all appends that came during the last.
Task<Result<AppendResult>> PartitionLog::append_in_group(Bytes batches,
                                                         std::optional<LeaderEpoch> epoch) {
  Append mine{.batches = std::move(batches), .epoch = epoch, .range = {}, .turn = {}, .result = {}};
  waiting_.push_back(&mine);
  if (std::exchange(leading_, true)) {
    mine.turn.emplace(runtime_.executor());
    co_await mine.turn->wait();
  }
  // Either another append has carried this one along, or this one is first and leads.
  if (!mine.result) {
    {
      const Turnstile::Guard turn = co_await turns().appends.enter_alone();
      co_await runtime::yield(runtime_);  // Who goes on in this turn of the loop comes along.
      co_await write_group();
    }
    leading_ = !waiting_.empty();  // Held for the one that is woken, so that nobody overtakes it.
    if (leading_) waiting_.front()->turn->set(true);
  }
  co_return std::move(*mine.result);
}

// Ends the first of those that wait, and as many with it as go into one write.
Task<void> PartitionLog::write_group() {
  Append& first = *waiting_.front();
  Front front = this->front();
  const Result<AppendResult> range = place(first.batches, first.epoch, front);
  Result<void> ready;
  if (range && !front.has_gap) ready = co_await make_ready(first.batches.size(), range->next);
  if (!range || !ready || front.has_gap) {
    waiting_.pop_front();
    Result<AppendResult> alone = range;
    if (!ready) alone = fail(ready.error());
    if (alone) alone = co_await write_with_gap(std::move(first.batches), *range);
    first.end(std::move(alone));
    co_return;
  }
  const std::vector<Append*> group = take_group();
  std::vector<ByteView> pieces;
  for (const Append* const append : group) pieces.emplace_back(append->batches);
  const Result<void> written = co_await active().data().append(std::move(pieces));
  for (Append* const append : group) {
    append->end(note_written(written, append->batches, append->range));
  }
}

// Gives them their places one behind the other. Those that are refused end here.
std::vector<PartitionLog::Append*> PartitionLog::take_group() {
  std::vector<Append*> group;
  std::size_t bytes = 0;
  Front front = this->front();
  while (!waiting_.empty() && group.size() < group_appends_max) {
    Append* const append = waiting_.front();
    const std::size_t more = append->batches.size();
    Front behind = front;
    const Result<AppendResult> range = place(append->batches, append->epoch, behind);
    const bool fits = range && !behind.has_gap && bytes + more <= group_bytes_max &&
                      !is_full_for(active().noted_end() + bytes, more, range->next);
    if (range && !fits && !group.empty()) break;
    waiting_.pop_front();
    if (!range) {
      append->end(fail(range.error()));
      continue;
    }
    append->range = *range;
    group.push_back(append);
    bytes += more;
    front = behind;
  }
  return group;
}

Result<AppendResult> PartitionLog::place(std::span<std::byte> batches,
                                         std::optional<LeaderEpoch> epoch, Front& front) const {
  TRY_VOID(usable());
  const Offset from = front.next;
  TRY_VOID(epoch ? stamp(batches, *epoch, front) : check_stamps(batches, front));
  if (front.next == from) return fail(Errc::invalid, "an append holds no batch");
  if (front.next - from > relative_offset_max) {
    return fail(Errc::invalid, "{}: an append spans offsets {} to {}, and at most {} fit",
                directory_, from, front.next, relative_offset_max);
  }
  return AppendResult{from, front.next};
}

// Gives the batches the next offsets and the epoch, in place.
Result<void> PartitionLog::stamp(std::span<std::byte> batches, LeaderEpoch epoch,
                                 Front& front) const {
  if (epoch < front.epoch) {
    return fail(Errc::fenced, "{}: an append in leader epoch {} after {}", directory_, epoch,
                front.epoch);
  }
  front.epoch = epoch;
  while (!batches.empty()) {
    const Result<BatchHeader> header = front_header(batches);
    if (!header) return fail(header.error());
    stamp_batch(batches, front.next, epoch);
    front.next = front.next.plus(header->last_offset_delta).next();
    batches = batches.subspan(header->total_bytes());
  }
  return {};
}

// Checks that the batches have the next offsets, or later ones where there may be gaps, in epochs
// that do not fall.
Result<void> PartitionLog::check_stamps(ByteView batches, Front& front) const {
  while (!batches.empty()) {
    TRY(const BatchHeader header, front_header(batches));
    const bool is_gap = header.base_offset > front.next && compacts(options_->cleanup_policy);
    front.has_gap = front.has_gap || is_gap;
    if (header.base_offset != front.next && !is_gap) {
      return fail(Errc::out_of_range, "{}: a batch begins at offset {} where {} is expected",
                  directory_, header.base_offset, front.next);
    }
    if (header.leader_epoch < front.epoch) {
      return fail(Errc::fenced, "{}: the batch at offset {} has leader epoch {} after {}",
                  directory_, front.next, header.leader_epoch, front.epoch);
    }
    front.next = header.next_offset();
    front.epoch = header.leader_epoch;
    batches = batches.subspan(header.total_bytes());
  }
  return {};
}

std::optional<Result<AppendResult>> PartitionLog::try_write(ByteView batches, AppendResult range) {
  const bool full = is_full_for(active().noted_end(), batches.size(), range.next);
  if (full || !active().is_indexed()) return std::nullopt;
  CHECK(active().noted_end() == active().size());
  std::optional<Result<void>> written = active().data().try_append(batches);
  if (!written) return std::nullopt;
  return note_written(std::move(*written), batches, range);
}

Task<Result<void>> PartitionLog::make_directory() {
  if (directory_state_ != DirectoryState::none) co_return Result<void>{};
  LogName name{directory_, topic_};
  if (context_->directories) context_->directories->insert(directory_);
  const Result<void> made = co_await make_log_directory(runtime_.disk(), std::move(name));
  const bool for_good = !made && made.error().code != Errc::no_space;
  if (for_good) co_return fail(fail_for_good(made.error()));
  if (made) directory_state_ = DirectoryState::made;
  co_return made;
}

// Rolls when the active segment is full for that, and has its indexes in the heap.
Task<Result<void>> PartitionLog::make_ready(std::size_t bytes, Offset next) {
  CO_TRY_VOID(co_await make_directory());
  Result<void> ready;
  if (is_full_for(active().noted_end(), bytes, next)) ready = co_await roll();
  if (ready && !active().is_indexed()) ready = co_await active().index();
  if (!ready && ready.error().code == Errc::io) co_return fail(fail_for_good(ready.error()));
  CHECK(!ready || active().noted_end() == active().size());
  co_return ready;
}

// Indexes what was written, or poisons the log.
Result<AppendResult> PartitionLog::note_written(Result<void> written, ByteView batches,
                                                AppendResult range) {
  if (!written) {
    if (written.error().code == Errc::no_space) return fail(std::move(written).error());
    return fail(fail_for_good(std::move(written).error()));
  }
  if (durable_end_ == end_) failures_seen_ = context_->filesystem.failures();
  LogSegment& segment = active();
  while (!batches.empty()) {
    // Not copied: a load of what was just stored piecemeal waits for every store before it, and
    // those of the batch itself may still be on their way to memory.
    const Result<BatchHeader> header = decode_batch_header(batches);
    CHECK(header.has_value());
    segment.note(segment.noted_end(), *header);
    epochs_.assign(header->leader_epoch, header->base_offset);
    batches = batches.subspan(header->total_bytes());
  }
  end_ = range.next;
  const bool is_group = options_->durability == Durability::group;
  if (is_group && !flush_waits_) wait_for_flush();
  return range;
}

// Whether an append to a segment of `filled` bytes belongs into the next one.
bool PartitionLog::is_full_for(std::uint64_t filled, std::size_t bytes, Offset next) const {
  if (filled == 0) return false;
  return filled + bytes > options_->segment_bytes || next - active().base() > relative_offset_max;
}

}  // namespace qlab::storage
