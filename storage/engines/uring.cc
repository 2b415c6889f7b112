#include "storage/engines/disk_segment.h"
#include "storage/engines/factories.h"

namespace qlab::storage {

std::unique_ptr<Engine> make_uring_engine(runtime::Runtime& runtime, const EngineOptions& options) {
  return std::make_unique<DiskEngine>(runtime, "uring", runtime::IoPath::uring, options,
                                      make_disk_segment(runtime));
}

}  // namespace qlab::storage
