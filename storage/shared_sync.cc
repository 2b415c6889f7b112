#include "storage/shared_sync.h"

namespace qlab::storage {

Task<Result<void>> SharedSync::join() {
  const std::uint64_t wanted = begun_ + 1;
  const std::uint64_t failures = failures_;
  while (ended_ < wanted) {
    if (begun_ > ended_) {
      // Of all who wait for it to end, the first starts the next one.
      co_await ended_event_.wait();
      continue;
    }
    ++begun_;
    const Result<void> synced = co_await sync_(runtime_);
    if (!synced) {
      ++failures_;
      failure_ = synced.error();
    }
    ++ended_;
    ended_event_.notify_all();
  }
  // One that failed before the wanted one began took bytes of this caller with it as well.
  if (failures_ != failures) co_return fail(*failure_);
  co_return Result<void>{};
}

Task<Result<void>> sync_filesystem(runtime::Runtime& runtime) {
  return runtime.disk().sync_filesystem();
}

Task<Result<void>> sync_root(runtime::Runtime& runtime) {
  co_await runtime::yield(runtime);
  co_return runtime.disk().sync_directory("");
}

}  // namespace qlab::storage
