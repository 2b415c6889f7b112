#pragma once
// Makes the dirty logs of a layout durable in groups: durability `group`.
//
// One timer for all logs, however many there are, and no coroutine while nothing is dirty.

#include <deque>
#include <vector>

#include "runtime/runtime.h"

namespace qlab::storage {

// A log that may be dirty.
class Flushable {
 public:
  // Begins to make durable what it holds; GroupFlusher::ended() is called when that has ended.
  virtual void begin_flush() = 0;

 protected:
  ~Flushable() = default;
};

// Thread: one shard.
class GroupFlusher {
 public:
  // At most `at_once` logs are flushed at a time. Requires: at_once > 0.
  GroupFlusher(runtime::Runtime& runtime, std::size_t at_once)
      : runtime_(runtime), at_once_(at_once) {}
  ~GroupFlusher();
  GroupFlusher(const GroupFlusher&) = delete;
  GroupFlusher& operator=(const GroupFlusher&) = delete;

  // Has `log` flushed at `due` or, together with others, before. Requires: it does not wait for
  // its flush already.
  void note_dirty(Flushable& log, Time due);
  // Forgets a log whose flush has not begun.
  void forget(Flushable& log);
  void ended();

 private:
  void fire();
  void begin_some();

  runtime::Runtime& runtime_;
  const std::size_t at_once_;
  std::vector<Flushable*> dirty_;  // Wait for the timer.
  std::deque<Flushable*> due_;     // Wait for their turn. Both: each log once.
  std::size_t flushing_ = 0;       // flushing_ <= at_once_
  runtime::TimerId timer_;         // 0 when nothing is dirty.
  Time timer_due_{};
};

}  // namespace qlab::storage
