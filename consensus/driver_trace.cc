#include "consensus/driver_trace.h"

#include "consensus/effect_words.h"

namespace qlab::consensus {
namespace {

std::int64_t number(NodeId node) {
  return node.value();
}
std::int64_t number(WriteSeq seq) {
  return static_cast<std::int64_t>(seq.value());
}
std::int64_t number(std::size_t count) {
  return static_cast<std::int64_t>(count);
}
std::int64_t number(Time at) {
  return at == Time{} ? -1 : at.time_since_epoch().count();
}

}  // namespace

DriverTrace::DriverTrace(runtime::Runtime& runtime, NodeId self, TraceOptions options)
    : runtime_(runtime),
      self_(self),
      options_(std::move(options)),
      on_(runtime.trace().enabled()) {}

void DriverTrace::started(const Status& status, const Config& config, LogIndex applied) {
  role_ = status.role;
  epoch_ = status.epoch;
  const std::string members = words_of(config);
  sink().emit("replica_started", {{"role", role_},
                                  {"epoch", epoch_.value()},
                                  {"last_epoch", status.last.epoch.value()},
                                  {"last_index", status.last.index.value()},
                                  {"applied", applied.value()},
                                  {"members", std::string_view(members)},
                                  {"commit_quorum", std::int64_t{config.commit_quorum}}});
}

void DriverTrace::input(const Input& input) {
  std::visit([this](const auto& i) { take(i); }, input);
}

void DriverTrace::effect(const Effect& effect) {
  std::visit([this](const auto& e) { tell(e); }, effect);
}

void DriverTrace::stepped(const Module& module) {
  if (!std::exchange(may_have_moved_, false)) return;
  const Status status = module.status();
  if (status.role == role_ && status.epoch == epoch_) return;
  const std::string_view before = std::exchange(role_, status.role);
  epoch_ = status.epoch;
  sink().emit("role", {{"role", role_},
                       {"before", before},
                       {"epoch", epoch_.value()},
                       {"leader", number(status.leader.value_or(no_node))},
                       {"last_epoch", status.last.epoch.value()},
                       {"last_index", status.last.index.value()},
                       {"commit", status.commit.value()}});
}

void DriverTrace::take(const in::Receive& input) {
  heard_[input.from] = sink().now();
  if (options_.details) tell_message("receive", input.from, input.link, *input.message);
}

void DriverTrace::take(const in::LinkUp& input) {
  links_[input.peer] = input.link;
  if (!options_.details) return;
  sink().emit_detail("link_up", {{"peer", number(input.peer)}, {"link", input.link}});
}

void DriverTrace::take(const in::LinkDown& input) {
  links_.erase(input.peer);
  if (!options_.details) return;
  sink().emit_detail("link_down", {{"peer", number(input.peer)}, {"link", input.link}});
}

void DriverTrace::refused(NodeId from, std::string_view why) {
  sink().emit("message_refused", {{"from", number(from)}, {"why", why}});
}

void DriverTrace::sent(NodeId to, runtime::LinkEpoch link, const Message& message) {
  if (options_.details) tell_message("send", to, link.value(), message);
}

void DriverTrace::not_sent(NodeId to, const Message& message, std::string_view why) {
  if (!options_.details) return;
  const std::string words = options_.describe ? options_.describe(message) : std::string();
  sink().emit_detail("send_dropped", {{"peer", number(to)},
                                      {"epoch", message.epoch.value()},
                                      {"words", std::string_view(words)},
                                      {"reason", why}});
}

void DriverTrace::tell_message(std::string_view event, NodeId peer, std::uint32_t link,
                               const Message& message) {
  const std::string words =
      options_.describe ? options_.describe(message) : fmt::format("{}", message.kind);
  const std::string_view kind = std::string_view(words).substr(0, words.find(' '));
  const bool has_entries = !message.entries.empty();
  std::size_t bytes = message.head.size();
  for (const Entry& entry : message.entries) bytes += entry.body->size();
  const auto first = has_entries ? message.entries.front().id.index.value() : std::int64_t{-1};
  const auto last = has_entries ? message.entries.back().id.index.value() : std::int64_t{-1};
  sink().emit_detail(event, {{"peer", number(peer)},
                             {"link", std::int64_t{link}},
                             {"kind", kind},
                             {"epoch", message.epoch.value()},
                             {"first", first},
                             {"last", last},
                             {"bytes", number(bytes)},
                             {"words", std::string_view(words)}});
}

void DriverTrace::tell(const out::Append& effect) {
  if (effect.entries.empty()) return;
  const LogId first = effect.entries.front().id;
  const LogIndex last = effect.entries.back().id.index;
  if (options_.details) {
    sink().emit_detail("append", {{"write", number(effect.seq)},
                                  {"epoch", first.epoch.value()},
                                  {"first", first.index.value()},
                                  {"last", last.value()}});
  }
  if (options_.entries_every == 0) return;
  for (const Entry& entry : effect.entries) {
    const auto index = static_cast<std::uint64_t>(entry.id.index.value());
    if (index % options_.entries_every != 0 || followed_.size() >= followed_max) continue;
    followed_[entry.id.index] =
        Followed{entry.id.epoch, effect.seq, leads_, sink().now(), {}, {}, {}};
  }
}

void DriverTrace::tell(const out::Truncate& effect) {
  followed_.erase(followed_.lower_bound(effect.from), followed_.end());
  if (!options_.details) return;
  sink().emit_detail("truncate", {{"write", number(effect.seq)}, {"from", effect.from.value()}});
}

void DriverTrace::tell(const out::SaveHardState& effect) {
  may_have_moved_ = true;
  const HardState& state = effect.state;
  const NodeId vote = state.vote ? state.vote->id : no_node;
  sink().emit("hard_state", {{"write", number(effect.seq)},
                             {"epoch", state.epoch.value()},
                             {"synced_epoch", state.synced_epoch.value()},
                             {"vote", number(vote)},
                             {"leader", number(state.leader.value_or(no_node))}});
}

void DriverTrace::tell(const out::StoreSnapshot& effect) {
  if (!options_.details) return;
  sink().emit_detail("image_piece", {{"write", number(effect.seq)},
                                     {"last_epoch", effect.meta.last.epoch.value()},
                                     {"last_index", effect.meta.last.index.value()},
                                     {"position", static_cast<std::int64_t>(effect.position)},
                                     {"bytes", number(effect.bytes->size())}});
}

void DriverTrace::tell(const out::InstallSnapshot& effect) {
  const LogId last = effect.meta.last;
  followed_.erase(followed_.begin(), followed_.upper_bound(last.index));
  sink().emit("image_received", {{"write", number(effect.seq)},
                                 {"last_epoch", last.epoch.value()},
                                 {"last_index", last.index.value()},
                                 {"size", static_cast<std::int64_t>(effect.meta.size)}});
}

void DriverTrace::image_taken(const SnapshotMeta& image) {
  sink().emit("image_taken", {{"last_epoch", image.last.epoch.value()},
                              {"last_index", image.last.index.value()},
                              {"size", static_cast<std::int64_t>(image.size)}});
}

void DriverTrace::image_restored(const SnapshotMeta& image) {
  sink().emit("image_restored", {{"last_epoch", image.last.epoch.value()},
                                 {"last_index", image.last.index.value()},
                                 {"size", static_cast<std::int64_t>(image.size)}});
}

void DriverTrace::tell(const out::CloseLink& effect) {
  if (options_.details) sink().emit_detail("close_link", {{"peer", number(effect.peer)}});
}

void DriverTrace::tell(const out::Outcome& effect) {
  if (!options_.details) return;
  sink().emit_detail("outcome", {{"request", static_cast<std::int64_t>(effect.request.value())},
                                 {"fate", name_of(effect.fate)},
                                 {"epoch", effect.at.epoch.value()},
                                 {"index", effect.at.index.value()},
                                 {"hint", number(effect.hint.value_or(no_node))},
                                 {"reason", effect.reason}});
}

void DriverTrace::tell(const out::ElectionStarted& effect) {
  may_have_moved_ = true;
  const auto heard = heard_.find(leader_);
  const auto silent = heard == heard_.end() ? Duration(-1000) : sink().now() - heard->second;
  sink().emit("election_started", {{"epoch", effect.epoch.value()},
                                   {"reason", effect.reason},
                                   {"leader", number(leader_)},
                                   {"silent_us", silent.count() / 1000},
                                   {"linked", std::int64_t{links_.contains(leader_) ? 1 : 0}}});
}

void DriverTrace::tell(const out::LeaderKnown& effect) {
  may_have_moved_ = true;
  leads_ = effect.leader == self_;
  if (leads_) sink().emit("became_leader", {{"epoch", effect.epoch.value()}});
  if (!effect.leader) return;
  leader_ = *effect.leader;
  sink().emit("leader_known", {{"epoch", effect.epoch.value()}, {"leader", number(leader_)}});
}

void DriverTrace::tell(const out::Activate& effect) {
  may_have_moved_ = true;
  sink().emit("epoch_committed",
              {{"epoch", effect.epoch.value()}, {"ready_at", effect.ready_at.value()}});
}

void DriverTrace::tell(const out::Deactivate& effect) {
  may_have_moved_ = true;
  leads_ = false;
  sink().emit("deactivated", {{"epoch", effect.epoch.value()}});
}

void DriverTrace::tell(const out::ConfigActive& effect) {
  const Config& config = effect.config;
  const std::string members = words_of(config);
  sink().emit("config_active", {{"epoch", effect.at.epoch.value()},
                                {"index", effect.at.index.value()},
                                {"members", std::string_view(members)},
                                {"joint", std::int64_t{config.outgoing.empty() ? 0 : 1}},
                                {"commit_quorum", std::int64_t{config.commit_quorum}}});
}

void DriverTrace::tell(const out::Fatal& effect) {
  sink().emit("fatal", {{"reason", effect.reason}});
}

void DriverTrace::tell(const out::Trace& effect) {
  may_have_moved_ = true;
  sink().emit("protocol", {{"action", effect.action},
                           {"epoch", effect.epoch.value()},
                           {"last_epoch", effect.id.epoch.value()},
                           {"last_index", effect.id.index.value()},
                           {"peer", number(effect.peer)},
                           {"reason", effect.reason}});
}

void DriverTrace::durable(WriteSeq up_to) {
  if (options_.details) sink().emit_detail("durable", {{"write", number(up_to)}});
  for (auto at = followed_.begin(); at != followed_.end();) {
    auto& [index, entry] = *at;
    if (entry.durable == Time{} && entry.write <= up_to) entry.durable = sink().now();
    const bool done = entry.durable != Time{} && entry.applied != Time{};
    if (done) tell_entry(index, entry);
    at = done ? followed_.erase(at) : std::next(at);
  }
}

void DriverTrace::committed(LogIndex up_to) {
  if (options_.details) sink().emit_detail("commit", {{"index", up_to.value()}});
  for (auto& [index, entry] : followed_) {
    if (index > up_to) break;
    if (entry.committed == Time{}) entry.committed = sink().now();
  }
}

void DriverTrace::applied(LogIndex up_to) {
  if (options_.details) sink().emit_detail("applied", {{"index", up_to.value()}});
  for (auto at = followed_.begin(); at != followed_.end() && at->first <= up_to;) {
    auto& [index, entry] = *at;
    if (entry.applied == Time{}) entry.applied = sink().now();
    const bool done = entry.durable != Time{};
    if (done) tell_entry(index, entry);
    at = done ? followed_.erase(at) : std::next(at);
  }
}

void DriverTrace::tell_entry(LogIndex index, const Followed& entry) {
  sink().emit_detail("entry", {{"epoch", entry.epoch.value()},
                               {"index", index.value()},
                               {"proposed", std::int64_t{entry.proposed ? 1 : 0}},
                               {"appended_ns", number(entry.appended)},
                               {"durable_ns", number(entry.durable)},
                               {"committed_ns", number(entry.committed)},
                               {"applied_ns", number(entry.applied)}});
}

}  // namespace qlab::consensus
