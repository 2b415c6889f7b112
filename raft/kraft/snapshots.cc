// Images, pulled by position. Source: KIP-630, "FetchSnapshot".
#include "consensus/config.h"
#include "raft/kraft/kraft.h"

namespace qlab::raft::kraft {

using consensus::SnapshotMeta;

// The leader no longer has what follows our log: it names its image.
void Kraft::download(NodeId leader, consensus::LogId snapshot) {
  if (snapshot.index <= commit_) {
    trace("DropFetchResponse", leader, "snapshot_below_high_watermark");
    return fetch_later();
  }
  if (installing_) {
    trace("DropFetchResponse", leader, "still_installing");
    return fetch_later();
  }
  trace("FetchSnapshot", leader);
  download_ = Download{snapshot, 0, 0};
  fetch();
}

void Kraft::handle(NodeId from, Epoch epoch, const FetchSnapshot& request) {
  FetchSnapshotResponse response;
  response.correlation = request.correlation;
  response.leader = leader_;
  if (state_ != State::leader || epoch < hard_state_.epoch) {  // Of which image matters not.
    return send(from, std::move(response), hard_seq_);
  }
  response.snapshot = request.snapshot;
  Replica* replica = admit(from, epoch, request.correlation, request.replica);
  if (replica == nullptr) return;
  const SnapshotMeta& image = log_.snapshot();
  if (image.last != request.snapshot || request.position > image.size) {
    replica->reading.reset();
    trace("DropFetchSnapshot", from,
          image.last != request.snapshot ? "snapshot_not_found" : "position_out_of_range");
    return send(from, std::move(response), hard_seq_);
  }
  const bool is_asked = replica->reading && replica->reading->snapshot == request.snapshot &&
                        replica->reading->position == request.position;
  replica->reading = request;
  if (is_asked) return;
  emit(out::ReadSnapshot{from, request.snapshot, request.position, tuning_.snapshot_chunk_bytes});
}

void Kraft::on(const in::SnapshotChunk& input) {
  if (!leadership_) return;
  const auto replica = leadership_->replicas.find(input.for_peer);
  if (replica == leadership_->replicas.end()) return;
  auto& reading = replica->second.reading;
  if (!reading || reading->snapshot != input.snapshot || reading->position != input.position) {
    return;  // It has asked for something else since.
  }
  FetchSnapshotResponse response;
  response.correlation = reading->correlation;
  response.leader = leader_;
  response.snapshot = input.snapshot;
  const SnapshotMeta& image = log_.snapshot();
  if (input.bytes != nullptr && image.last == input.snapshot) {
    response.found = true;
    response.size = image.size;
    response.position = input.position;
    response.config = consensus::encode_config(image.config);
    response.bytes = *input.bytes;
  }
  reading.reset();
  send(input.for_peer, std::move(response), hard_seq_);
}

void Kraft::handle(NodeId from, Epoch epoch, const FetchSnapshotResponse& response) {
  if (!take_answer(from, response.correlation, true)) return;
  if (!is_answered_by_leader(from, epoch, response.leader)) return;
  heard_of_leader();
  if (!response.found) {  // The leader has a newer one; the next fetch tells which.
    trace("DropSnapshot", from, "snapshot_not_found");
    download_.reset();
    return fetch_later();
  }
  store(from, response);
}

// Keeps a piece, and asks for the next when it is durable; or puts the whole in the place of the
// log.
void Kraft::store(NodeId leader, const FetchSnapshotResponse& response) {
  auto config = consensus::decode_config(response.config);
  const std::uint64_t end = response.position + response.bytes.size();
  const bool is_expected = response.snapshot == download_->snapshot &&
                           response.position == download_->position &&
                           (download_->position == 0 || response.size == download_->size) &&
                           (!response.bytes.empty() || response.size == 0);
  if (!is_expected || !config) {
    trace("DropSnapshot", leader, config ? "not_the_piece_asked_for" : "damaged_config");
    download_.reset();
    return fetch_later();
  }
  const SnapshotMeta meta{response.snapshot, std::move(*config), response.size};
  issued_ = issued_.next();
  log_seq_ = issued_;
  emit(out::StoreSnapshot{log_seq_, meta, response.position,
                          std::make_shared<const Bytes>(response.bytes)});
  download_->position = end;
  download_->size = response.size;
  if (end == response.size) install(meta);
  fetch();
}

void Kraft::install(const SnapshotMeta& image) {
  const bool is_replaced = log_.epoch_of(image.last.index) != image.last.epoch;
  download_.reset();
  log_.install(image.last);
  issued_ = issued_.next();
  log_seq_ = issued_;
  if (is_replaced) {
    unsynced_.clear();
    durable_ = LogIndex{0};
  }
  unsynced_.push_back({log_seq_, log_.last().index});
  installing_ = true;
  trace("InstallSnapshot", *leader_);
  emit(out::InstallSnapshot{log_seq_, image});
  commit_ = image.last.index;
  if (voters_.install(image, is_replaced)) announce_config();
  for (const auto& outcome : proposals_.committed(commit_, log_)) emit(outcome);
}

}  // namespace qlab::raft::kraft
