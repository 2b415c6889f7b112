// How the batches of a full segment of the shared log come, sorted by stream, into a settled file.

#include <algorithm>

#include "storage/shared/settler.h"

namespace qlab::storage::shared {
namespace {

// So much of a segment is held at a time, besides one read. What the cache has not got is read once
// for each so many bytes of it.
constexpr std::size_t gathered_bytes_max = 16u << 20;
constexpr std::size_t read_bytes = 4u << 20;
constexpr std::size_t streams_per_turn = 4096;  // Between two turns of others.

constexpr std::size_t not_gathered = ~std::size_t{0};

// A damaged batch is settled by nobody: its file would vouch for it.
Result<void> check_settled(ByteView bytes, const UnsettledBatch& batch, const std::string& path) {
  const Result<BatchHeader> header = check_batch(bytes);
  if (!header) {
    return fail(Errc::corrupt, "{} at position {}: {}", path, batch.at.byte,
                header.error().context);
  }
  if (header->base_offset != batch.base) {
    return fail(Errc::corrupt, "{} at position {}: a batch at offset {}, not {}", path,
                batch.at.byte, header->base_offset, batch.base);
  }
  return {};
}

}  // namespace

// A batch that is to be copied.
struct Settler::Piece {
  StreamId stream;
  UnsettledBatch batch;
  std::size_t at = not_gathered;  // Where it lies in what was gathered.
};

Task<Result<void>> Settler::copy_unsettled(SettledWriter& writer, std::uint32_t segment) {
  const WalSegmentPtr from = wal_.find(segment);
  const std::vector<StreamId>& streams = unsettled_[segment];
  std::vector<UnsettledBatch> batches;
  std::vector<Piece> pieces;
  std::size_t bytes = 0;
  for (std::size_t i = 0; i < streams.size(); ++i) {
    streams_.prefetch(streams[std::min(i + prefetch_distance, streams.size() - 1)]);
    const Stream* const stream = streams_.find(streams[i]);
    if (!stream) continue;
    batches.clear();
    for (const UnsettledBatch& batch : stream->unsettled) {
      if (batch.at.segment > segment) break;
      batches.push_back(batch);
    }
    for (const UnsettledBatch& batch : batches) {
      if (bytes + batch.bytes > gathered_bytes_max && !pieces.empty()) {
        CO_TRY_VOID(co_await copy_pieces(writer, from, std::exchange(pieces, {})));
        bytes = 0;
      }
      pieces.push_back({streams[i], batch});
      bytes += batch.bytes;
    }
    if (i % streams_per_turn == streams_per_turn - 1) co_await yield();
  }
  co_return co_await copy_pieces(writer, from, std::move(pieces));
}

Task<Result<void>> Settler::copy_pieces(SettledWriter& writer, WalSegmentPtr from,
                                        std::vector<Piece> pieces) {
  CO_TRY(Bytes gathered, co_await gather(from, pieces));
  for (const Piece& piece : pieces) {
    const UnsettledBatch& batch = piece.batch;
    const auto cached = wal_.cache().find(batch.at, batch.bytes);
    Bytes alone;  // One that left the cache meanwhile.
    ByteView bytes;
    if (piece.at != not_gathered) {
      bytes = ByteView(gathered).subspan(piece.at, batch.bytes);
    } else if (cached) {
      bytes = cached->bytes;
    } else {
      CO_TRY(alone, co_await from->data->read(batch.at.byte, batch.bytes));
      bytes = alone;
    }
    CO_TRY_VOID(check_settled(bytes, batch, from->path));
    const SettledBatch settled{.stream = piece.stream,
                               .base = batch.base,
                               .last_offset_delta = batch.last_offset_delta,
                               .bytes = batch.bytes,
                               .max_timestamp = batch.max_timestamp,
                               .position = 0};
    writer.add(settled, bytes);
    if (writer.is_full()) CO_TRY_VOID(co_await writer.flush());
  }
  co_return Result<void>{};
}

// What the cache has not got of the pieces, read in the order in which it lies on the disk. Says in
// each of them where it is.
Task<Result<Bytes>> Settler::gather(WalSegmentPtr from, std::vector<Piece>& pieces) {
  std::vector<Piece*> missing;
  std::size_t bytes = 0;
  for (Piece& piece : pieces) {
    if (wal_.cache().find(piece.batch.at, piece.batch.bytes)) continue;
    piece.at = bytes;
    bytes += piece.batch.bytes;
    missing.push_back(&piece);
  }
  std::sort(missing.begin(), missing.end(),
            [](const Piece* a, const Piece* b) { return a->batch.at < b->batch.at; });
  Bytes gathered(bytes);
  Bytes window;
  std::uint64_t window_at = 0;
  for (const Piece* const piece : missing) {
    const UnsettledBatch& batch = piece->batch;
    if (batch.at.byte + batch.bytes > window_at + window.size()) {
      window_at = batch.at.byte;
      const std::size_t wanted = std::max<std::size_t>(batch.bytes, read_bytes);
      CO_TRY(window, co_await from->data->read(window_at, wanted));
    }
    const std::size_t begin = batch.at.byte - window_at;
    if (begin + batch.bytes > window.size()) {
      co_return fail(Errc::corrupt, "{} ends before the batch at position {}", from->path,
                     batch.at.byte);
    }
    const ByteView found = ByteView(window).subspan(begin, batch.bytes);
    std::copy(found.begin(), found.end(),
              gathered.begin() + static_cast<std::ptrdiff_t>(piece->at));
  }
  co_return gathered;
}

}  // namespace qlab::storage::shared
