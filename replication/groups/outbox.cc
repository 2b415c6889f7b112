#include "replication/groups/outbox.h"

#include "replication/groups/group_codec.h"

namespace qlab::replication {

Result<std::vector<GroupItem>> decode_items(ByteView message) {
  std::vector<GroupItem> items;
  BytesReader in(message);
  while (in.ok() && in.left() > 0) {
    GroupItem item;
    item.group = get_group(in);
    const auto kind = in.get<std::uint8_t>();
    if (kind < 1 || kind > 3) in.fail_with("an item of an unknown kind");
    item.kind = static_cast<GroupItem::Kind>(kind);
    const ByteView body = in.get_bytes(in.get<std::uint32_t>());
    item.body.assign(body.begin(), body.end());
    items.push_back(std::move(item));
  }
  TRY_VOID(in.status());
  return items;
}

void Outbox::put(NodeId to, const GroupItem& item, bool can_wait) {
  Waiting& waiting = waiting_[to];
  put_group(waiting.message, item.group);
  waiting.message.put(static_cast<std::uint8_t>(item.kind));
  waiting.message.put(static_cast<std::uint32_t>(item.body.size()));
  waiting.message.put_bytes(item.body);
  ++waiting.items;
  if (waiting.message.size() >= message_bytes_max) return flush(to, waiting);
  if (can_wait) return;
  waiting.is_urgent = true;
  if (turn_ != runtime::TimerId{}) return;
  turn_ = runtime_.call_at(runtime_.now(), [this] {
    turn_ = {};
    flush_urgent();
  });
}

void Outbox::flush(NodeId to, Waiting& waiting) {
  if (waiting.items == 0) return;
  Waiting leaving;
  std::swap(leaving, waiting);
  ++messages_sent_;
  items_sent_ += leaving.items;
  send_(to, leaving.message.take());
}

void Outbox::flush_urgent() {
  for (auto& [to, waiting] : waiting_) {
    if (waiting.is_urgent) flush(to, waiting);
  }
}

void Outbox::flush() {
  for (auto& [to, waiting] : waiting_) flush(to, waiting);
}

void Outbox::stop() {
  runtime_.cancel(std::exchange(turn_, {}));
  waiting_.clear();
}

}  // namespace qlab::replication
