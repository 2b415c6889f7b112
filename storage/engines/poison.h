#pragma once
// Why nothing is written to a segment any more.

#include <optional>
#include <string_view>

#include "common/result.h"

namespace qlab::storage {

// Set once and for all: the first cause is the one that everybody hears.
class Poison {
 public:
  Error set(std::string_view act, std::string_view path, const Error& cause) {
    if (!why_) {
      why_ = Error{Errc::io, fmt::format("{} of {} failed, and nothing is written to it until it "
                                         "is opened anew: {}",
                                         act, path, cause.message())};
    }
    return *why_;
  }
  // Whatever was the cause before, from here on it is that the segment is closed.
  void close(std::string_view path) {
    why_ = Error{Errc::closed, fmt::format("{} is closed", path)};
  }

  explicit operator bool() const { return why_.has_value(); }
  // Requires: set.
  const Error& error() const { return *why_; }

 private:
  std::optional<Error> why_;
};

}  // namespace qlab::storage
