#pragma once
// Who wants to hear of which znodes: the watches of one server's connections.
//
// One-shot watches on data (set by exists and getData) and on the list of children (getChildren) go
// with the event they tell of; persistent ones stay, and recursive ones hear of what lies below,
// too, but not of lists of children.
//
// Source: ZooKeeper's WatchManager.

#include <functional>
#include <map>
#include <set>
#include <string>
#include <unordered_map>
#include <vector>

#include "wire/keeper/codes.h"

namespace qlab::keeper {

using WatcherId = std::uint64_t;  // A connection; numbers are never used again.

enum class WatchKind : std::uint8_t { data = 1, children = 2, persistent = 4, recursive = 8 };

class Watches {
 public:
  using Notify = std::function<void(WatcherId, wire::keeper::EventType, const std::string& path)>;

  // `notify` is called from within happened(), in the order in which watches were set.
  explicit Watches(Notify notify) : notify_(std::move(notify)) {}

  void add(WatcherId watcher, const std::string& path, WatchKind kind);
  bool has(WatcherId watcher, const std::string& path, wire::keeper::WatcherType type) const;
  // False when there was none of that type.
  bool remove(WatcherId watcher, const std::string& path, wire::keeper::WatcherType type);
  void remove_all(WatcherId watcher);

  // Tells one watcher of what it missed.
  void tell(WatcherId watcher, wire::keeper::EventType type, const std::string& path) {
    notify_(watcher, type, path);
  }
  // Tells everyone whom it concerns, each once.
  void happened(wire::keeper::EventType type, const std::string& path);

  std::size_t watchers() const { return by_watcher_.size(); }
  std::size_t paths() const { return by_path_.size(); }
  std::size_t count() const { return count_; }  // (watcher, path) pairs.

 private:
  struct Watch {
    WatcherId watcher = 0;
    std::uint8_t kinds = 0;  // Bits of WatchKind; not 0.
  };
  using Paths = std::unordered_map<std::string, std::vector<Watch>>;

  const Watch* find(WatcherId watcher, const std::string& path) const;
  void keep(Paths::iterator at, std::vector<Watch> left);
  void forget(WatcherId watcher, const std::string& path);

  const Notify notify_;
  Paths by_path_;
  std::map<WatcherId, std::set<std::string>> by_watcher_;
  std::size_t count_ = 0;
  std::size_t recursive_ = 0;  // Watches of that kind; without any nobody looks at ancestors.
};

}  // namespace qlab::keeper
