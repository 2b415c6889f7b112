#pragma once
// The worked example of docs/add-an-engine.md. It runs through the engine contract and is not part
// of the build's engines.

#include <memory>

#include "storage/engine.h"

namespace qlab::storage {

std::unique_ptr<Engine> make_plain_engine(runtime::Runtime& runtime, const EngineOptions& options);

}  // namespace qlab::storage
