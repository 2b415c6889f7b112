#include "storage/engines/disk_segment.h"
#include "storage/engines/factories.h"

namespace qlab::storage {

std::unique_ptr<Engine> make_mmap_engine(runtime::Runtime& runtime, const EngineOptions& options) {
  return std::make_unique<DiskEngine>(runtime, "mmap", runtime::IoPath::mapped, options,
                                      make_disk_segment(runtime));
}

}  // namespace qlab::storage
