// Images: sent in pieces to whoever lacks what our log has forgotten, and received.
// Source: Raft 7; dissertation 5.1 to 5.3.
//
// The leader offers its image and the follower says how much of it is there, so a transfer goes on
// where it was broken off, by a link or by another leader with the same image.
#include "common/check.h"
#include "raft/raft.h"

namespace qlab::raft {

using consensus::SnapshotMeta;
using consensus::WriteSeq;

void Raft::offer_snapshot(NodeId peer) {
  const SnapshotMeta& image = log_.snapshot();
  Progress& progress = leadership_->peers.at(peer);
  CHECK(image.last.index.next() >= log_.first());
  CHECK(progress.match() < image.last.index);
  progress.begin_snapshot(image.last);
  trace("SendInstallSnapshot", peer);
  send(peer, hard_state_.epoch, SnapshotRequest{image, 0, std::make_shared<const Bytes>()},
       WriteSeq{0});
}

void Raft::handle(NodeId from, Epoch, const SnapshotReply& reply) {
  Progress* progress = answers_to(from, reply.directory);
  if (progress == nullptr) return;
  const bool stale =
      progress->phase() != Progress::Phase::snapshot || progress->image() != reply.image;
  if (stale) return trace("DropInstallSnapshotResponse", from, "another_image");
  if (reply.position > log_.snapshot().size) {
    return trace("DropInstallSnapshotResponse", from, "beyond_the_image");
  }
  if (!progress->wants_piece(reply.position)) return;
  emit(out::ReadSnapshot{from, reply.image, reply.position, tuning_.snapshot_chunk_bytes});
}

void Raft::on(const in::SnapshotChunk& input) {
  if (role_ != Role::leader || !leadership_->peers.contains(input.for_peer)) return;
  Progress& progress = leadership_->peers.at(input.for_peer);
  if (progress.phase() != Progress::Phase::snapshot || progress.image() != input.snapshot) return;
  if (!progress.awaits_piece(input.position)) return;
  const SnapshotMeta& image = log_.snapshot();
  if (input.bytes != nullptr && image.last == input.snapshot) {
    progress.piece_sent();
    send(input.for_peer, hard_state_.epoch, SnapshotRequest{image, input.position, input.bytes},
         WriteSeq{0});
    return;
  }
  // A newer image took its place: from the beginning, as soon as our log knows of that one.
  progress.piece_gone();
  if (image.last != input.snapshot) offer_snapshot(input.for_peer);
}

void Raft::on(const in::SnapshotTaken&) {
  const SnapshotMeta& image = log_.snapshot();
  configs_.install(image.last, image.config, true);
  if (role_ != Role::leader) return;
  for (const auto& [peer, progress] : leadership_->peers) {
    if (progress.image_is_gone()) offer_snapshot(peer);
  }
}

void Raft::on(const in::SnapshotInstalled&) {
  installing_ = false;
}

void Raft::handle(NodeId from, Epoch epoch, const SnapshotRequest& request) {
  if (role_ == Role::leader) return trace("DropInstallSnapshotRequest", from, "we_lead");
  follow(from);
  const consensus::LogId last = request.image.last;
  const auto matched = [&](LogIndex match) {
    receiving_.reset();
    send(from, epoch, AppendReply{true, match, {}, {}, self_.directory, is_bare()}, all_writes());
  };
  if (last.index <= commit_) return matched(commit_);
  if (log_.epoch_of(last.index) == last.epoch) {  // We have all of it, and it is committed.
    advance_commit(last.index);
    return matched(last.index);
  }
  if (installing_) return trace("DropInstallSnapshotRequest", from, "still_installing");
  if (!receives(request, epoch)) return;
  if (receiving_->position == request.image.size && receiving_->stored != WriteSeq{0}) {
    install_received();
    return matched(last.index);
  }
  send(from, epoch, SnapshotReply{last, receiving_->position, self_.directory},
       std::max(receiving_->stored, hard_seq_));
}

// Keeps the piece if it is the next one. False: the image is older than what this leader sent.
bool Raft::receives(const SnapshotRequest& request, Epoch epoch) {
  if (receiving_ && receiving_->epoch == epoch && request.image.last < receiving_->image.last) {
    trace("DropInstallSnapshotRequest", *leader_, "older_image");
    return false;
  }
  if (!receiving_ || receiving_->image != request.image) {
    receiving_ = Receiving{request.image, 0, WriteSeq{0}, epoch};
  }
  receiving_->epoch = epoch;
  if (request.position != receiving_->position) return true;
  if (request.bytes->empty() && request.image.size > 0) return true;  // An offer.
  issued_ = issued_.next();
  receiving_->stored = issued_;
  emit(out::StoreSnapshot{issued_, request.image, request.position, request.bytes});
  receiving_->position += request.bytes->size();
  return true;
}

// The image takes the place of the log: none of its entries is ours, so nothing of it stays.
void Raft::install_received() {
  const SnapshotMeta image = receiving_->image;
  CHECK(image.last.index > commit_);
  log_.install(image.last);
  issued_ = issued_.next();
  log_seq_ = issued_;
  durable_ = LogIndex{0};
  bare_from_.reset();
  for (Unsynced& write : unsynced_) write.last = LogIndex{0};
  unsynced_.push_back({log_seq_, image.last.index});
  installing_ = true;
  trace("InstallSnapshot", *leader_);
  emit(out::InstallSnapshot{log_seq_, image});
  commit_ = image.last.index;
  configs_.install(image.last, image.config, false);
  config_changed();
  settle_doubtful(false);
}

}  // namespace qlab::raft
