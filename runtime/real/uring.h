#pragma once
// A shard's io_uring: operations of one turn of the loop go to the kernel in one call, completions
// come back through an eventfd that the loop watches.

#include <memory>
#include <vector>

#include <boost/asio/posix/basic_stream_descriptor.hpp>
#include <liburing.h>

#include "runtime/real/ring_tables.h"
#include "runtime/real/wait_outside.h"

namespace qlab::runtime {

// Thread: the shard's, which must also be the one that opens it.
class Uring {
 public:
  static constexpr unsigned entries = 256;

  // Errors: unsupported, when the kernel or its policy forbids io_uring.
  static Result<std::unique_ptr<Uring>> open(Executor home);
  ~Uring();  // Requires: drained.
  Uring(const Uring&) = delete;
  Uring& operator=(const Uring&) = delete;

  // Queues the operation that prepare(io_uring_sqe*) fills in. Returns what the kernel says: a
  // count, or a negative errno. Requires: buffers stay alive until then.
  template <class Prepare>
  Task<int> submit(Prepare prepare) {
    return wait_outside<int>(
        [this, prepare = std::move(prepare)](std::unique_ptr<Waiter<int>> waiter) {
          io_uring_sqe* entry = next_entry();
          prepare(entry);
          io_uring_sqe_set_data(entry, waiter.release());
          ++in_flight_;
        });
  }

  // Files and buffers that operations may name by number.
  const std::shared_ptr<RingTables>& tables() const { return tables_; }

  // Waits for the operations under way without resuming anyone.
  void drain();

 private:
  struct Done {
    std::unique_ptr<Waiter<int>> waiter;
    int result;
  };

  explicit Uring(Executor home);
  Result<void> set_up();
  io_uring_sqe* next_entry();
  void post_turn();  // Flushes and resumes, soon.
  void flush();      // Submits what is queued and collects.
  void set_silent(bool silent);
  void watch();
  void collect();  // Takes completions off the ring into done_.
  void resume_done();

  Executor executor_;
  boost::asio::posix::basic_stream_descriptor<Executor> wakeups_;  // The eventfd.
  std::uint64_t wakeup_count_ = 0;
  io_uring ring_{};
  bool ring_open_ = false;
  std::shared_ptr<RingTables> tables_;  // Outlives the ring in what is registered.
  bool turn_posted_ = false;
  bool resuming_ = false;      // Whoever resumes flushes after that.
  std::size_t in_flight_ = 0;  // Queued or with the kernel.
  std::vector<Done> done_;
};

}  // namespace qlab::runtime
