#pragma once
// How replicas that follow the metadata share their shard, and the processors, with clients.
//
// Whoever works on many replicas lets others have the shard every few. That is not enough where new
// ones come by the thousand: all brokers have theirs to open at the same moment, and where they
// share processors, a client's request waits in the run queue until all are done. So new replicas
// are opened at ease, with rests that leave the processors to whoever has a request.
//
// Thread: the shard it was made on.

#include "runtime/async.h"

namespace qlab::replication {

class Turns {
 public:
  explicit Turns(runtime::Runtime& runtime) : runtime_(runtime) {}

  // Worked on in one go by each of those who do; whoever else has work on this shard waits for no
  // more, many times in the course of a request.
  static constexpr std::size_t replicas_at_once = 4;
  // Calls at ease between two rests.
  static constexpr std::size_t calls_between_rests = 16;
  static constexpr Duration rest = std::chrono::microseconds(500);

  // After each replica that was worked on. At ease, it returns when no rest is under way; those who
  // work side by side rest together.
  runtime::Task<void> take(bool at_ease) {
    ++calls_;
    if (at_ease && ++calls_at_ease_ % calls_between_rests == 0)
      rests_until_ = runtime_.now() + rest;
    if (at_ease && runtime_.now() < rests_until_) {
      co_await runtime::sleep_until(runtime_, rests_until_);
    } else if (calls_ % replicas_at_once == 0) {
      co_await runtime::yield(runtime_);
    }
  }

 private:
  runtime::Runtime& runtime_;
  std::size_t calls_ = 0;
  std::size_t calls_at_ease_ = 0;
  Time rests_until_{};
};

}  // namespace qlab::replication
