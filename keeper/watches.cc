#include "keeper/watches.h"

#include <algorithm>

#include "keeper/path.h"

namespace qlab::keeper {

using wire::keeper::EventType;
using wire::keeper::WatcherType;

namespace {

constexpr std::uint8_t bit(WatchKind kind) {
  return static_cast<std::uint8_t>(kind);
}
constexpr std::uint8_t data = bit(WatchKind::data);
constexpr std::uint8_t children = bit(WatchKind::children);
constexpr std::uint8_t persistent = bit(WatchKind::persistent);
constexpr std::uint8_t recursive = bit(WatchKind::recursive);

// Which kinds on the znode itself hear of it.
std::uint8_t hearers_of(EventType type) {
  switch (type) {
    case EventType::node_children_changed:
      return children | persistent;
    case EventType::node_deleted:
      return data | children | persistent | recursive;
    default:
      return data | persistent | recursive;
  }
}

std::uint8_t bits_of(WatcherType type) {
  switch (type) {
    case WatcherType::children:
      return children;
    case WatcherType::data:
      return data;
    case WatcherType::persistent:
      return persistent;
    case WatcherType::persistent_recursive:
      return recursive;
    default:
      return data | children | persistent | recursive;
  }
}

}  // namespace

const Watches::Watch* Watches::find(WatcherId watcher, const std::string& path) const {
  const auto at = by_path_.find(path);
  if (at == by_path_.end()) return nullptr;
  for (const Watch& watch : at->second) {
    if (watch.watcher == watcher) return &watch;
  }
  return nullptr;
}

void Watches::add(WatcherId watcher, const std::string& path, WatchKind kind) {
  std::set<std::string>& paths = by_watcher_[watcher];
  std::vector<Watch>& here = by_path_[path];
  if (paths.insert(path).second) {
    here.push_back({watcher, bit(kind)});
    ++count_;
    recursive_ += kind == WatchKind::recursive ? 1u : 0u;
    return;
  }
  for (Watch& watch : here) {
    if (watch.watcher != watcher) continue;
    if (kind == WatchKind::recursive && (watch.kinds & recursive) == 0) ++recursive_;
    watch.kinds |= bit(kind);
  }
}

bool Watches::has(WatcherId watcher, const std::string& path, WatcherType type) const {
  const Watch* watch = find(watcher, path);
  return watch != nullptr && (watch->kinds & bits_of(type)) != 0;
}

bool Watches::remove(WatcherId watcher, const std::string& path, WatcherType type) {
  if (!has(watcher, path, type)) return false;
  const auto at = by_path_.find(path);
  std::vector<Watch> left;
  for (Watch watch : at->second) {
    if (watch.watcher == watcher) {
      if ((watch.kinds & bits_of(type) & recursive) != 0) --recursive_;
      watch.kinds &= static_cast<std::uint8_t>(~bits_of(type));
      if (watch.kinds == 0) forget(watcher, path);
    }
    if (watch.kinds != 0) left.push_back(watch);
  }
  keep(at, std::move(left));
  return true;
}

void Watches::remove_all(WatcherId watcher) {
  const auto found = by_watcher_.find(watcher);
  if (found == by_watcher_.end()) return;
  for (const std::string& path : found->second) {
    const auto at = by_path_.find(path);
    std::vector<Watch> left;
    for (const Watch& watch : at->second) {
      if (watch.watcher != watcher) left.push_back(watch);
      if (watch.watcher == watcher && (watch.kinds & recursive) != 0) --recursive_;
    }
    keep(at, std::move(left));
    --count_;
  }
  by_watcher_.erase(found);
}

void Watches::keep(Paths::iterator at, std::vector<Watch> left) {
  left.empty() ? static_cast<void>(by_path_.erase(at)) : at->second.swap(left);
}

void Watches::forget(WatcherId watcher, const std::string& path) {
  const auto found = by_watcher_.find(watcher);
  found->second.erase(path);
  --count_;
  if (found->second.empty()) by_watcher_.erase(found);
}

void Watches::happened(EventType type, const std::string& path) {
  std::vector<WatcherId> told;
  const std::uint8_t hearers = hearers_of(type);
  if (const auto at = by_path_.find(path); at != by_path_.end()) {
    std::vector<Watch> left;
    for (Watch watch : at->second) {
      if ((watch.kinds & hearers) != 0) {
        told.push_back(watch.watcher);
        watch.kinds &= static_cast<std::uint8_t>(~(hearers & (data | children)));
        if (watch.kinds == 0) forget(watch.watcher, path);
      }
      if (watch.kinds != 0) left.push_back(watch);
    }
    keep(at, std::move(left));
  }
  if (recursive_ > 0 && type != EventType::node_children_changed) {
    std::string above = path;
    while (above.size() > 1) {
      above = parent_of(above);
      const auto at = by_path_.find(above);
      if (at == by_path_.end()) continue;
      for (const Watch& watch : at->second) {
        const bool is_new = std::find(told.begin(), told.end(), watch.watcher) == told.end();
        if ((watch.kinds & recursive) != 0 && is_new) told.push_back(watch.watcher);
      }
    }
  }
  for (const WatcherId watcher : told) notify_(watcher, type, path);
}

}  // namespace qlab::keeper
