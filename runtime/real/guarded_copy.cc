#include "runtime/real/guarded_copy.h"

#include <atomic>
#include <cerrno>
#include <csetjmp>
#include <csignal>
#include <cstring>

#include <fmt/format.h>

#include "common/check.h"

namespace qlab::runtime {
namespace {

// The copy under way on a thread: the pages it may fail on, and where it then goes on.
struct Guard {
  const std::byte* begin;
  const std::byte* end;
  sigjmp_buf after;
};

// Read by the handler on the thread that it interrupted, so plain loads and stores would do; atomic
// keeps the compiler from moving them past the copy.
thread_local std::atomic<Guard*> current = nullptr;
static_assert(std::atomic<Guard*>::is_always_lock_free);

// Async-signal-safe: siglongjmp leaves nothing but a memcpy, and sigaction and raise are on POSIX's
// list.
void on_bus_error(int, siginfo_t* info, void*) {
  Guard* const guard = current.load(std::memory_order_relaxed);
  const auto* const address = static_cast<const std::byte*>(info->si_addr);
  if (guard != nullptr && address >= guard->begin && address < guard->end) {
    siglongjmp(guard->after, 1);
  }
  struct sigaction by_default {};
  by_default.sa_handler = SIG_DFL;
  (void)::sigaction(SIGBUS, &by_default, nullptr);
  (void)::raise(SIGBUS);
}

// Not inlined: nothing of the caller may live in a register across the jump.
[[gnu::noinline]] bool copy_within(Guard& guard, std::byte* to, const std::byte* from,
                                   std::size_t count) {
  // The mask need not be saved, as the handler runs without one (SA_NODEFER).
  if (sigsetjmp(guard.after, 0) != 0) return false;
  current.store(&guard, std::memory_order_relaxed);
  std::atomic_signal_fence(std::memory_order_seq_cst);
  std::memcpy(to, from, count);
  std::atomic_signal_fence(std::memory_order_seq_cst);
  return true;
}

}  // namespace

Result<void> guard_copies() {
  struct sigaction now {};
  if (::sigaction(SIGBUS, nullptr, &now) != 0) return fail(errno_error(errno, "sigaction"));
  if ((now.sa_flags & SA_SIGINFO) != 0 && now.sa_sigaction == &on_bus_error) return {};
  struct sigaction ours {};
  ours.sa_sigaction = &on_bus_error;
  ours.sa_flags = SA_SIGINFO | SA_NODEFER | SA_ONSTACK;
  if (::sigaction(SIGBUS, &ours, nullptr) != 0) return fail(errno_error(errno, "sigaction"));
  return {};
}

bool copy_guarded(std::span<std::byte> to, ByteView from, ByteView mapping) {
  CHECK(to.size() >= from.size());
  Guard guard{mapping.data(), mapping.data() + mapping.size(), {}};
  const bool copied = copy_within(guard, to.data(), from.data(), from.size());
  current.store(nullptr, std::memory_order_relaxed);
  return copied;
}

}  // namespace qlab::runtime
