#pragma once
// One thread beside a shard for calls that block, so that a slow fdatasync does not stall an
// election.

#include <optional>
#include <thread>
#include <utility>

#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/post.hpp>

#include "runtime/real/wait_outside.h"

namespace qlab::runtime {

// Runs jobs one after the other, in the order in which they were handed over.
// Thread: the shard's. Lifetime: what waits for a job is destroyed with the helper.
class HelperThread {
 public:
  explicit HelperThread(Executor home) : home_(home), guard_(context_.get_executor()) {}
  ~HelperThread() {
    context_.stop();
    if (thread_.joinable()) thread_.join();
  }
  HelperThread(const HelperThread&) = delete;
  HelperThread& operator=(const HelperThread&) = delete;

  // Calls `job` on the helper and returns its value on the shard.
  template <class Job>
  auto run(Job job) -> Task<std::invoke_result_t<Job>> {
    using T = std::invoke_result_t<Job>;
    // The first job starts the thread: most shards of a test never sync.
    if (!thread_.joinable()) thread_ = std::thread([this] { context_.run(); });
    return wait_outside<T>([this, job = std::move(job)](std::unique_ptr<Waiter<T>> waiter) mutable {
      boost::asio::post(
          context_, [home = home_, job = std::move(job), waiter = std::move(waiter)]() mutable {
            boost::asio::post(home, [value = job(), waiter = std::move(waiter)]() mutable {
              waiter->resume(std::move(value));
            });
          });
    });
  }

 private:
  Executor home_;
  boost::asio::io_context context_{1};
  boost::asio::executor_work_guard<Executor> guard_;
  std::thread thread_;
};

}  // namespace qlab::runtime
