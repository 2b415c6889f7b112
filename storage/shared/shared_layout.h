#pragma once

#include <memory>

#include "storage/layout.h"

namespace qlab::storage {

std::unique_ptr<Layout> make_shared_layout(runtime::Runtime& runtime, Engine& engine,
                                           LayoutOptions options);

}  // namespace qlab::storage
