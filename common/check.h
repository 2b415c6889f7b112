#pragma once
// CHECK: for what cannot happen unless the program is wrong. On in every build.
//
// One condition per CHECK, so that the message names what broke. Bytes from a disk or a peer are
// never CHECKed; they are decoded into a Result (see result.h).

#include <string_view>

namespace qlab {

// Prints the failed condition with its place and aborts, leaving a core.
[[noreturn]] void check_failed(const char* file, int line, const char* condition,
                               std::string_view detail);

}  // namespace qlab

#define CHECK(condition)                                        \
  do {                                                          \
    if (!(condition)) [[unlikely]] {                            \
      ::qlab::check_failed(__FILE__, __LINE__, #condition, {}); \
    }                                                           \
  } while (false)

// CHECK with a sentence that says which values met: CHECK_MSG(a <= b, fmt::format("a={} b={}", a,
// b)).
#define CHECK_MSG(condition, detail)                                \
  do {                                                              \
    if (!(condition)) [[unlikely]] {                                \
      ::qlab::check_failed(__FILE__, __LINE__, #condition, detail); \
    }                                                               \
  } while (false)
