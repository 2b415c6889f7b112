#include "replication/fetch_sessions.h"

#include <limits>
#include <tuple>

#include "common/check.h"

namespace qlab::replication {
namespace {

using wire::FetchRequest;
using wire::KafkaError;

// Of a request: no session at all, and the first of a new one.
constexpr std::int32_t final_epoch = -1;
constexpr std::int32_t initial_epoch = 0;

std::size_t size_of(const FetchRequest& request) {
  std::size_t size = 0;
  for (const auto& topic : request.topics) size += topic.partitions.size();
  return size;
}

}  // namespace

FetchSessions::FetchSessions(std::vector<runtime::Runtime*> shards, SessionLimits limits)
    : shards_(std::move(shards)), limits_(limits) {}

tl::expected<FetchSessions::Use, KafkaError> FetchSessions::begin(const FetchRequest& request,
                                                                  bool by_id, Time now) {
  const std::int32_t epoch = request.session_epoch;
  if (epoch != final_epoch && epoch != initial_epoch) return go_on(request, by_id, now);
  if (request.session_id != 0) sessions_.erase(request.session_id);
  Use use{std::make_shared<FetchSession>(shards_)};
  use.session->update(request);
  const bool is_follower = reader_of(request).value() >= 0;
  if (epoch == initial_epoch && make_room(is_follower, size_of(request), now)) {
    use.id = new_id();
    Kept& kept = sessions_[use.id];
    kept.session = use.session;
    kept.is_follower = is_follower;
    kept.by_id = by_id;
    kept.is_busy = true;
    kept.made_at = kept.used_at = now;
  }
  return in_use(std::move(use));
}

tl::expected<FetchSessions::Use, KafkaError> FetchSessions::go_on(const FetchRequest& request,
                                                                  bool by_id, Time now) {
  const auto at = sessions_.find(request.session_id);
  if (at == sessions_.end()) return tl::unexpected(KafkaError::fetch_session_id_not_found);
  Kept& kept = at->second;
  if (kept.is_busy || kept.next_epoch != request.session_epoch) {
    return tl::unexpected(KafkaError::invalid_fetch_session_epoch);
  }
  if (kept.by_id != by_id) return tl::unexpected(KafkaError::fetch_session_topic_id_error);
  kept.next_epoch =
      kept.next_epoch == std::numeric_limits<std::int32_t>::max() ? 1 : kept.next_epoch + 1;
  kept.used_at = now;
  kept.session->update(request);
  Use use{kept.session, at->first, false};
  if (use.session->size() == 0) {
    sessions_.erase(at);
    use.id = 0;
  } else {
    kept.is_busy = true;
  }
  return in_use(std::move(use));
}

FetchSessions::Use FetchSessions::in_use(Use use) {
  use.number = ++last_number_;
  used_.emplace(use.number, use.session.get());
  return use;
}

void FetchSessions::end(const Use& use) {
  const std::size_t ended = used_.erase(use.number);
  CHECK(ended == 1);
  const auto kept = sessions_.find(use.id);
  if (kept != sessions_.end() && kept->second.session == use.session) kept->second.is_busy = false;
}

void FetchSessions::close() {
  closed_ = true;
  for (const auto& [number, session] : used_) session->feed().wake();
}

bool FetchSessions::make_room(bool is_follower, std::size_t size, Time now) {
  if (sessions_.size() < limits_.slots_max) return true;
  // Followers and large sessions are worth more.
  const auto worth = [](const Map::value_type& entry) {
    return std::make_tuple(entry.second.is_follower, entry.second.session->size(), entry.first);
  };
  auto stale = sessions_.end();
  auto least = sessions_.end();
  for (auto at = sessions_.begin(); at != sessions_.end(); ++at) {
    if (stale == sessions_.end() || at->second.used_at < stale->second.used_at) stale = at;
    const bool is_settled = now - at->second.made_at > limits_.settled_after;
    if (!is_settled && (!is_follower || at->second.is_follower)) continue;
    if (least == sessions_.end() || worth(*at) < worth(*least)) least = at;
  }
  if (stale == sessions_.end()) return false;
  if (now - stale->second.used_at > limits_.settled_after) {
    sessions_.erase(stale);
    return true;
  }
  if (least == sessions_.end()) return false;
  if (std::make_tuple(is_follower, size, std::int32_t{0}) < worth(*least)) return false;
  sessions_.erase(least);
  return true;
}

std::int32_t FetchSessions::new_id() {
  while (true) {
    const auto id = static_cast<std::int32_t>(
        shards_.front()->random().between(1, std::numeric_limits<std::int32_t>::max()));
    if (!sessions_.contains(id)) return id;
  }
}

}  // namespace qlab::replication
