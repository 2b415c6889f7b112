#include "storage/group_flusher.h"

#include <algorithm>
#include <utility>

#include "common/check.h"

namespace qlab::storage {

GroupFlusher::~GroupFlusher() {
  runtime_.cancel(timer_);
}

void GroupFlusher::note_dirty(Flushable& log, Time due) {
  dirty_.push_back(&log);
  const bool sooner = timer_ == runtime::TimerId{} || due < timer_due_;
  if (!sooner) return;
  runtime_.cancel(timer_);
  timer_due_ = due;
  timer_ = runtime_.call_at(due, [this] { fire(); });
}

void GroupFlusher::forget(Flushable& log) {
  std::erase(dirty_, &log);
  std::erase(due_, &log);
}

void GroupFlusher::fire() {
  timer_ = {};
  due_.insert(due_.end(), dirty_.begin(), dirty_.end());
  dirty_.clear();
  begin_some();
}

void GroupFlusher::begin_some() {
  while (flushing_ < at_once_ && !due_.empty()) {
    ++flushing_;
    Flushable& next = *due_.front();
    due_.pop_front();
    next.begin_flush();
  }
}

void GroupFlusher::ended() {
  CHECK(flushing_ > 0);
  --flushing_;
  begin_some();
}

}  // namespace qlab::storage
