#pragma once
// A directory of Kafka's files per partition.

#include <memory>

#include "storage/layout.h"

namespace qlab::storage {

std::unique_ptr<Layout> make_per_partition_layout(runtime::Runtime& runtime, Engine& engine,
                                                  LayoutOptions options);

}  // namespace qlab::storage
