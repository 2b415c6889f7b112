#pragma once
// What a value may be after writes of which some overlapped and some were never answered.

#include <vector>

#include "common/clock.h"

namespace qlab::sim {

template <class Value>
class LastWrites {
 public:
  using Write = std::size_t;

  // `initial`: what it was before the first write.
  explicit LastWrites(Value initial = {})
      : writes_{{std::move(initial), Time::min(), Time::min(), false}} {}

  // A write is asked for. Until something is said of it, it may come to pass at any later time.
  Write begin(Value value, Time now) {
    writes_.push_back({std::move(value), now, Time::max(), false});
    return writes_.size() - 1;
  }
  // It was acknowledged: it has come to pass by now, and writes that begin later come after it.
  void acknowledge(Write write, Time now) { writes_[write].ended = now; }
  // It was refused: it never comes to pass.
  void refuse(Write write) { writes_[write].is_refused = true; }

  // The values that it may have in the end: those whose writes no other one surely came after.
  std::vector<Value> candidates() const {
    Time newest = Time::min();  // When the last write that came to pass was asked for.
    for (const One& one : writes_) {
      if (!one.is_refused && one.ended != Time::max()) newest = std::max(newest, one.begun);
    }
    std::vector<Value> values;
    for (const One& one : writes_) {
      if (!one.is_refused && one.ended >= newest) values.push_back(one.value);
    }
    return values;
  }

 private:
  struct One {
    Value value;
    Time begun;
    Time ended;  // Time::max(): open.
    bool is_refused = false;
  };
  std::vector<One> writes_;
};

}  // namespace qlab::sim
