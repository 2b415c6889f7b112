// The log, what is committed of it, and its voters. Source: KIP-595, "Fetch"; KIP-630; KIP-853.
#include <algorithm>

#include "consensus/config.h"
#include "raft/kraft/model/kraft_state.h"

namespace qlab::raft::kraft::model {

using consensus::EntryKind;
using consensus::Member;
using consensus::MemberRole;
using consensus::model::agree;
using consensus::model::counts_in;
using consensus::model::has;
using consensus::model::id_at;
using consensus::model::is_same_entry;
using consensus::model::last_id;
using consensus::model::last_index;
using consensus::model::member_of;

LogId end_of_epoch(const consensus::model::Log& log, Epoch epoch) {
  LogId end;
  for (const Entry& entry : log) {
    if (entry.id.epoch <= epoch) end = entry.id;
  }
  return end;
}

void KraftModel::check(const out::Append& effect) {
  LogId last = last_id(node_->log);
  for (const Entry& entry : effect.entries) {
    const bool follows = entry.id.index == last.index.next() && entry.id.epoch >= last.epoch &&
                         entry.id.epoch <= node_->hard.epoch;
    if (!require(follows, log_follows, "{}.{} after {}.{}", entry.id.epoch, entry.id.index,
                 last.epoch, last.index)) {
      return;
    }
    last = entry.id;
  }
  if (leads()) {
    check_lead_append(effect.entries);
  } else {
    check_follow_append(effect.entries);
  }
  if (!refusal_) node_->append(effect.seq, effect.entries);
}

void KraftModel::check_lead_append(const std::vector<Entry>& entries) {
  for (const Entry& entry : entries) {
    require(entry.id.epoch == node_->hard.epoch, own_epoch, "{}.{} in {}", entry.id.epoch,
            entry.id.index, node_->hard.epoch);
    const bool is_first = entry.id.index == node_->epoch_start;
    require(is_first == (entry.kind == EntryKind::control), leader_change, "kind {} at {}",
            static_cast<int>(entry.kind), entry.id.index);
    if (entry.kind != EntryKind::config) continue;
    const auto next = consensus::decode_config(*entry.body);
    if (require(next.has_value(), one_voter, "no configuration")) check_change(*next);
  }
}

void KraftModel::check_follow_append(const std::vector<Entry>& entries) {
  const auto* response = answer<FetchResponse>();
  if (!require(response != nullptr, fetched, "unasked")) return;
  require(answered_->end == last_id(node_->log), fetched, "it had asked from {}.{}",
          answered_->end.epoch, answered_->end.index);
  for (const Entry& entry : entries) {
    const bool is_sent =
        std::any_of(response->entries.begin(), response->entries.end(),
                    [&](const Entry& other) { return is_same_entry(entry, other); });
    require(is_sent, fetched, "{}.{}", entry.id.epoch, entry.id.index);
  }
}

void KraftModel::check_change(const Config& next) {
  const Config& now = node_->config();
  require(node_->config_at() <= node_->commit, one_change, "{} is not committed",
          node_->config_at());
  require(node_->commit >= node_->epoch_start, change_in_epoch, "{} is not committed",
          node_->epoch_start);
  int changed = 0;
  for (const Member& member : now.members) {
    const Member* stays = member_of(next, member.id);
    if (!counts_in(now, member.id)) continue;
    changed += counts_in(next, member.id) ? 0 : 1;
    const bool other_disk = stays != nullptr && member.directory != DirectoryId{} &&
                            stays->directory != DirectoryId{} &&
                            stays->directory != member.directory;
    changed += other_disk ? 2 : 0;  // One that goes and one that comes.
  }
  for (const Member& member : next.members) {
    if (counts_in(now, member.id) || !counts_in(next, member.id)) continue;
    changed += 1;
    const auto fetcher = node_->fetchers.find(member.id);
    const bool caught_up = fetcher != node_->fetchers.end() && fetcher->second.caught_up &&
                           is_voter(next, {member.id, fetcher->second.directory});
    require(member.id == node_->self.id || caught_up, joiner_caught_up, "{} has {}", member.id,
            fetcher == node_->fetchers.end() ? LogIndex{0} : fetcher->second.match);
  }
  require(changed <= 1 && next.outgoing.empty(), one_voter, "{} at once", changed);
}

void KraftModel::check(const out::Truncate& effect) {
  const auto* response = answer<FetchResponse>();
  const bool diverges = response != nullptr && response->diverging_epoch;
  if (!require(diverges, cut_where_diverging, "from {} unasked", effect.from)) return;
  require(effect.from > node_->commit, committed_stays, "from {} with high watermark {}",
          effect.from, node_->commit);
  const LogId theirs = *response->diverging_epoch;
  const LogId ours = end_of_epoch(node_->log, theirs.epoch);
  const LogIndex end = ours.epoch == theirs.epoch ? std::min(ours.index, theirs.index) : ours.index;
  require(effect.from == end.next() && end < last_index(node_->log), cut_where_diverging,
          "from {} with {} agreed", effect.from, end);
  if (!refusal_) node_->truncate(effect.seq, effect.from);
}

void KraftModel::check(const out::StoreSnapshot& effect) {
  const auto* piece = answer<FetchSnapshotResponse>();
  const bool is_asked = piece != nullptr && piece->found &&
                        answered_->snapshot == piece->snapshot &&
                        answered_->position == piece->position;
  if (!require(is_asked, image_in_order, "{} unasked", effect.position)) return;
  const bool is_kept = effect.meta.last == piece->snapshot && effect.meta.size == piece->size &&
                       effect.position == piece->position && *effect.bytes == piece->bytes &&
                       consensus::encode_config(effect.meta.config) == piece->config;
  require(is_kept, image_in_order, "another piece than {} of {}.{}", piece->position,
          piece->snapshot.epoch, piece->snapshot.index);
  node_->piece = effect;
  node_->store(effect.seq);
}

void KraftModel::check(const out::InstallSnapshot& effect) {
  const auto& piece = node_->piece;
  const bool is_whole = answer<FetchSnapshotResponse>() != nullptr && piece &&
                        piece->meta == effect.meta &&
                        piece->position + piece->bytes->size() == effect.meta.size;
  const LogId last = effect.meta.last;
  require(is_whole && last.index > node_->commit, image_whole, "{}.{} with high watermark {}",
          last.epoch, last.index, node_->commit);
  require(has(committed_, last), image_committed, "{}.{}", last.epoch, last.index);
  if (refusal_) return;
  node_->install(effect.seq, last, committed_);
  require(node_->config_at_index(last.index) == effect.meta.config, image_committed,
          "other voters at {}", last.index);
  node_->piece.reset();
}

void KraftModel::check(const out::Commit& effect) {
  require(effect.up_to > node_->commit && effect.up_to <= last_index(node_->log), watermark_grows,
          "{} after {}", effect.up_to, node_->commit);
  if (refusal_) return;
  if (leads()) {
    check_lead_commit(effect.up_to);
  } else {
    check_follow_commit(effect.up_to);
  }
  if (!refusal_) commit(effect.up_to);
}

// What a voter has, if the one that fetched is that voter: a wiped disk makes another.
LogIndex KraftModel::fetched_by(NodeId id) const {
  const auto fetcher = node_->fetchers.find(id);
  if (fetcher == node_->fetchers.end()) return LogIndex{0};
  return is_voter(node_->config(), {id, fetcher->second.directory}) ? fetcher->second.match
                                                                    : LogIndex{0};
}

void KraftModel::check_lead_commit(LogIndex up_to) {
  const LogId id = id_at(node_->log, up_to);
  const Config& config = node_->config();
  require(up_to >= node_->epoch_start, watermark_epoch, "{}.{} in {}", id.epoch, id.index,
          node_->hard.epoch);
  const bool stored = agree(config, config.commit_quorum, [&](NodeId voter) {
    const bool ourselves = voter == node_->self.id;
    return ourselves ? is_voter(config, node_->self) && node_->is_durable(id)
                     : fetched_by(voter) >= up_to;
  });
  require(stored, watermark_quorum, "{}.{}", id.epoch, id.index);
}

void KraftModel::check_follow_commit(LogIndex up_to) {
  const auto* response = answer<FetchResponse>();
  const LogIndex told = response == nullptr ? LogIndex{0} : response->high_watermark;
  require(up_to <= told, watermark_told, "{} with {} told", up_to, told);
  require(up_to <= group_commit(), watermark_told, "{}, and nobody led so far", up_to);
}

// State machine safety, for whoever commits.
void KraftModel::commit(LogIndex up_to) {
  for (LogIndex index = node_->commit.next(); index <= up_to; index = index.next()) {
    const auto at = static_cast<std::size_t>(index.value() - 1);
    const Entry& entry = node_->log[at];
    if (index > group_commit()) {
      committed_.push_back(entry);
      continue;
    }
    require(is_same_entry(entry, committed_[at]), one_history, "{}.{} against {}.{}",
            entry.id.epoch, index, committed_[at].id.epoch, index);
  }
  node_->commit = up_to;
}

void KraftModel::check(const out::ConfigActive& effect) {
  require(effect.config == node_->config(), voters_in_force, "others, of {}", effect.at.index);
  node_->told = effect.config;
}

}  // namespace qlab::raft::kraft::model
