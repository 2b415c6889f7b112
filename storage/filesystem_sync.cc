#include "storage/filesystem_sync.h"

namespace qlab::storage {

Task<Result<void>> FilesystemSync::join() {
  const std::uint64_t wanted = begun_ + 1;
  const std::uint64_t failures = failures_;
  while (ended_ < wanted) {
    if (begun_ > ended_) {
      // Of all who wait for it to end, the first starts the next one.
      co_await ended_event_.wait();
      continue;
    }
    ++begun_;
    const Result<void> synced = co_await runtime_.disk().sync_filesystem();
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

}  // namespace qlab::storage
