#pragma once
// What the contract checks share.

#include <string>

#include "common/result.h"

namespace qlab::runtime {

// The words of an error, for a message that Boost.Test also evaluates when all is well.
template <class T>
std::string why(const Result<T>& result) {
  return result.has_value() ? "" : result.error().message();
}

}  // namespace qlab::runtime
