#include "storage/engines/direct_segment.h"
#include "storage/engines/factories.h"

namespace qlab::storage {

std::unique_ptr<Engine> make_direct_engine(runtime::Runtime& runtime,
                                           const EngineOptions& options) {
  auto make = [&runtime, pool = std::make_shared<StagingPool>(runtime.disk())](SegmentFile file) {
    return std::make_unique<DirectSegment>(runtime, std::move(file), pool);
  };
  return std::make_unique<DiskEngine>(runtime, "direct", runtime::IoPath::direct, options,
                                      std::move(make));
}

}  // namespace qlab::storage
