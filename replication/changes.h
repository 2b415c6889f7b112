#pragma once
// Tells of a partition's changes: to those who wait for the next one, and to those who listen to
// all of them.
//
// Thread: the partition's shard.

#include <boost/intrusive/list.hpp>

#include "runtime/async.h"

namespace qlab::replication {

using runtime::Task;

// Costs nothing while the partition it listens to is idle. It listens to one at a time, and stops
// with its own end or the partition's.
class ChangeListener : public boost::intrusive::list_base_hook<
                           boost::intrusive::link_mode<boost::intrusive::auto_unlink>> {
 public:
  // Called in the midst of a change: it takes note and does nothing else.
  virtual void on_change() = 0;

 protected:
  ChangeListener() = default;
  ~ChangeListener() = default;
};

class Changes {
 public:
  explicit Changes(runtime::Runtime& runtime) : event_(runtime) {}

  void notify_all() {
    event_.notify_all();
    for (ChangeListener& listener : listeners_) listener.on_change();
  }
  Task<void> wait() { return event_.wait(); }
  // True when notified, false when `due` came first.
  Task<bool> wait_until(Time due) { return event_.wait_until(due); }

  // From here on it is told of each change.
  void tell(ChangeListener& listener) {
    if (listener.is_linked()) listener.unlink();
    listeners_.push_back(listener);
  }

 private:
  runtime::Event event_;
  boost::intrusive::list<ChangeListener, boost::intrusive::constant_time_size<false>> listeners_;
};

}  // namespace qlab::replication
