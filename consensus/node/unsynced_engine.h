#pragma once
// An engine whose syncs do nothing: what is acknowledged may be lost with the machine. For one
// measurement only, of what durability costs; the peers have the same switch.

#include <memory>

#include "storage/engine.h"

namespace qlab::consensus::node {

std::unique_ptr<storage::Engine> make_unsynced(std::unique_ptr<storage::Engine> engine);

}  // namespace qlab::consensus::node
