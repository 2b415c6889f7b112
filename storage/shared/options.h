#pragma once
// What may be chosen about the layout `shared`. The simulator draws from the same bounds.

#include "common/result.h"

namespace qlab::storage {

struct SharedOptions {
  // Errors: invalid, naming the key, its value and what is allowed.
  Result<void> validate() const { return {}; }
};

}  // namespace qlab::storage
