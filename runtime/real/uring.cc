#include "runtime/real/uring.h"

#include <array>
#include <atomic>
#include <cerrno>

#include <boost/asio/buffer.hpp>
#include <boost/asio/post.hpp>
#include <sys/eventfd.h>

#include "common/check.h"

namespace qlab::runtime {
namespace {

// Best first. With DEFER_TASKRUN completions are worked on when the loop asks for them and never
// interrupt it, and TASKRUN_FLAG shows that some wait; older kernels know less.
constexpr std::array<unsigned, 3> setup_flags = {
    IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN | IORING_SETUP_TASKRUN_FLAG,
    IORING_SETUP_COOP_TASKRUN | IORING_SETUP_TASKRUN_FLAG,
    0,
};

}  // namespace

Result<std::unique_ptr<Uring>> Uring::open(Executor home) {
  std::unique_ptr<Uring> ring(new Uring(home));
  TRY_VOID(ring->set_up());
  ring->watch();
  return ring;
}

Uring::Uring(Executor home) : executor_(home), wakeups_(executor_) {}

Uring::~Uring() {
  CHECK(in_flight_ == 0);
  done_.clear();  // Nobody goes on any more, and what they hold leaves the tables.
  if (tables_ != nullptr) tables_->close();
  if (ring_open_) io_uring_queue_exit(&ring_);
}

Result<void> Uring::set_up() {
  int result = -EINVAL;
  for (const unsigned flags : setup_flags) {
    result = io_uring_queue_init(entries, &ring_, flags);
    if (result != -EINVAL) break;
  }
  if (result < 0) {
    return fail(Errc::unsupported,
                "io_uring is not available ({}); see /proc/sys/kernel/io_uring_disabled, or choose "
                "an engine that does without",
                errno_error(-result, "io_uring_queue_init").context);
  }
  ring_open_ = true;
  tables_ = std::make_shared<RingTables>(ring_);
  const int event = ::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  if (event < 0) return fail(errno_error(errno, "eventfd"));
  wakeups_.assign(event);
  if (const int error = io_uring_register_eventfd(&ring_, event); error < 0) {
    return fail(errno_error(-error, "io_uring_register_eventfd"));
  }
  return {};
}

io_uring_sqe* Uring::next_entry() {
  io_uring_sqe* entry = io_uring_get_sqe(&ring_);
  while (entry == nullptr) {  // The queue is full: hand it over now.
    flush();
    entry = io_uring_get_sqe(&ring_);
  }
  if (!resuming_) post_turn();
  return entry;
}

void Uring::post_turn() {
  if (std::exchange(turn_posted_, true)) return;
  boost::asio::post(executor_, [this] {
    turn_posted_ = false;
    flush();
    resume_done();
  });
}

// EBUSY and EAGAIN: the kernel wants its completions taken first, or is short of memory.
//
// While we are in the kernel ourselves it need not ring the eventfd for what it hands over there
// and then. What comes between the end of that and the end of the silence shows in the ring.
void Uring::flush() {
  set_silent(true);
  int result = -EINTR;
  while (result < 0) {
    result = io_uring_submit_and_get_events(&ring_);
    collect();
    CHECK_MSG(result >= 0 || result == -EINTR || result == -EAGAIN || result == -EBUSY,
              errno_error(-result, "io_uring_submit").message());
  }
  set_silent(false);
  const unsigned flags = IO_URING_READ_ONCE(*ring_.sq.kflags);
  if ((flags & IORING_SQ_TASKRUN) != 0 || io_uring_cq_ready(&ring_) > 0) post_turn();
}

void Uring::set_silent(bool silent) {
  (void)io_uring_cq_eventfd_toggle(&ring_, !silent);  // Without it the eventfd rings more often.
  std::atomic_thread_fence(std::memory_order_seq_cst);
}

void Uring::watch() {
  wakeups_.async_read_some(boost::asio::buffer(&wakeup_count_, sizeof wakeup_count_),
                           [this](boost::system::error_code error, std::size_t) {
                             if (error) return;  // Closed.
                             flush();
                             watch();
                             resume_done();
                           });
}

void Uring::collect() {
  io_uring_cqe* entry = nullptr;
  while (io_uring_peek_cqe(&ring_, &entry) == 0) {
    done_.push_back(
        {std::unique_ptr<Waiter<int>>(static_cast<Waiter<int>*>(io_uring_cqe_get_data(entry))),
         entry->res});
    io_uring_cqe_seen(&ring_, entry);
    CHECK(in_flight_ > 0);
    --in_flight_;
  }
}

// What resumed coroutines queue goes to the kernel at once and together. What that brings in waits
// for the next turn, so that sockets and timers have theirs.
void Uring::resume_done() {
  if (done_.empty()) return;
  std::vector<Done> batch = std::exchange(done_, {});
  resuming_ = true;
  for (Done& done : batch) done.waiter->resume(done.result);
  resuming_ = false;
  if (io_uring_sq_ready(&ring_) > 0) flush();
  if (!done_.empty()) post_turn();
}

void Uring::drain() {
  while (in_flight_ > 0) {
    const int result = io_uring_submit_and_wait(&ring_, 1);
    CHECK_MSG(result >= 0 || result == -EINTR || result == -EAGAIN || result == -EBUSY,
              errno_error(-result, "io_uring_submit_and_wait").message());
    collect();
  }
}

}  // namespace qlab::runtime
