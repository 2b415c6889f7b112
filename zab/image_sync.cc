// Phase 2 for a learner whose missing entries are gone: SNAP, then DIFF.
// Source: ZooKeeper's LearnerHandler (SNAP) and Learner.syncWithLeader. An image is a write like
// any other here, in order with those behind it (ZOOKEEPER-3642).
#include "common/check.h"
#include "zab/zab.h"

namespace qlab::zab {

void Zab::begin_snap(NodeId peer) {
  Learner& learner = leadership_->learners.at(peer);
  learner.stage = Stage::snap;
  learner.image = log_.snapshot();
  learner.position = 0;
  learner.image_is_gone = false;
  CHECK(learner.image.last.index >= log_.first().prev());
  trace("SendSnap", peer);
  emit(out::ReadSnapshot{peer, learner.image.last, 0, tuning_.snapshot_chunk_bytes});
}

void Zab::on(const in::SnapshotChunk& input) {
  if (!leadership_ || !leadership_->learners.contains(input.for_peer)) return;
  Learner& learner = leadership_->learners.at(input.for_peer);
  if (learner.stage != Stage::snap || learner.image.last != input.snapshot ||
      learner.position != input.position) {
    return;  // Of an earlier session.
  }
  if (input.bytes == nullptr) {  // A newer one took its place, of which our log may not know yet.
    learner.image_is_gone = log_.snapshot().last == input.snapshot;
    if (!learner.image_is_gone) begin_snap(input.for_peer);
    return;
  }
  learner.position += input.bytes->size();
  Snap snap{learner.session, learner.image, input.position, *input.bytes};
  send(input.for_peer, leadership_->epoch, std::move(snap));
}

void Zab::handle(NodeId from, Epoch epoch, const SnapAck& ack) {
  Learner* learner = learner_of(from, ack.session, epoch);
  if (learner == nullptr) return;
  if (learner->stage != Stage::snap || ack.position != learner->position) {
    return trace("DropSnapAck", from, "not_asked");
  }
  const consensus::LogId end = learner->image.last;
  if (ack.position < learner->image.size) {
    return emit(out::ReadSnapshot{from, end, ack.position, tuning_.snapshot_chunk_bytes});
  }
  // A newer image may have taken the place of entries behind this one.
  if (log_.epoch_of(end.index) != end.epoch) return begin_snap(from);
  begin_diff(from, end);
}

void Zab::handle(NodeId from, Epoch epoch, const Snap& snap) {
  Session* session = session_with(from, snap.session, epoch);
  if (session == nullptr) return;
  if (session->is_acknowledged) return trace("DropSnap", from, "after_new_leader");
  if (snap.position == 0) {
    session->image = snap.image;
    session->position = 0;
  }
  if (session->image != snap.image || session->position != snap.position) {
    trace("DropSnap", from, "gap");
    return look("gap");
  }
  if (snap.image.last.index <= commit_ || !(snap.image.last > log_.snapshot().last)) {
    trace("DropSnap", from, "older_than_ours");
    return look("older_image");
  }
  if (is_installing_) {  // One of an earlier session.
    trace("DropSnap", from, "still_installing");
    return look("still_installing");
  }
  session->position += snap.bytes.size();
  issued_ = issued_.next();
  emit(out::StoreSnapshot{issued_, snap.image, snap.position,
                          std::make_shared<const Bytes>(snap.bytes)});
  if (session->position == snap.image.size) install(std::exchange(session->image, {}).value());
  send(from, epoch, SnapAck{session->number, session->position}, issued_);
}

// The image stands for our log up to its end, and is committed.
void Zab::install(const consensus::SnapshotMeta& image) {
  const LogIndex end = image.last.index;
  trace("FollowerProcessSNAP", session_->leader);
  log_.install(image.last);
  is_installing_ = true;
  issued_ = issued_.next();
  emit(out::InstallSnapshot{issued_, image});
  const LogIndex last = log_.last().index;
  durable_ = std::min(durable_, last);
  for (Unsynced& write : unsynced_) write.last = std::min(write.last, last);
  unsynced_.push_back({issued_, last});
  commit_ = end;
  if (configs_.install(image, last == end)) announce_config();
  settle_doubtful(false);
}

}  // namespace qlab::zab
