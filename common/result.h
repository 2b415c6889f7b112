#pragma once
// Result<T>: a value, or an expected failure with a code and the words a user needs.
//
// Library code returns errors and never logs them; the one who decides logs once (style 5).

#include <string>
#include <string_view>
#include <utility>

#include <fmt/format.h>
#include <tl/expected.hpp>

namespace qlab {

enum class Errc : std::uint8_t {
  invalid,        // The caller's argument or a config value is out of bounds.
  corrupt,        // Bytes do not decode or a checksum does not match.
  torn,           // A write ended early and nothing durable was lost.
  io,             // The system refused an operation on a file or socket.
  no_space,       // ENOSPC or EDQUOT.
  not_found,      // No such topic, partition, file, node.
  exists,         // It is there already.
  out_of_range,   // An offset outside the log.
  not_leader,     // Somebody else leads; the context may name them.
  fenced,         // An epoch of the past.
  unknown_epoch,  // An epoch of the future: the asker knows more than we do.
  not_enough_replicas,
  unsupported,  // An API, version or option this build does not speak.
  overloaded,   // A queue is full; trying again later is right.
  timed_out,
  closed,           // The connection, file or component was stopped.
  aborted,          // Given up because its owner stopped.
  out_of_sequence,  // An idempotent producer's batch does not follow its last one.
  stale_producer,   // A producer epoch of the past.
  unknown_outcome,  // It may or may not have happened. Stays the last.
};

std::string_view name_of(Errc code);

struct Error {
  Errc code = Errc::invalid;
  std::string context;  // A sentence that names the thing, its value and what is allowed.

  std::string message() const { return fmt::format("{}: {}", name_of(code), context); }
};

template <class T>
using Result = tl::expected<T, Error>;

// Makes an error in one line: return fail(Errc::not_found, "topic {} is unknown", name);
template <class... Args>
tl::unexpected<Error> fail(Errc code, fmt::format_string<Args...> words, Args&&... args) {
  return tl::unexpected<Error>(Error{code, fmt::format(words, std::forward<Args>(args)...)});
}

inline tl::unexpected<Error> fail(Error error) {
  return tl::unexpected<Error>(std::move(error));
}

// Turns an errno into an Error: no_space for ENOSPC and EDQUOT, not_found for ENOENT, else io.
Error errno_error(int number, std::string_view what);

}  // namespace qlab

#define QLAB_CONCAT_(a, b) a##b
#define QLAB_CONCAT(a, b) QLAB_CONCAT_(a, b)
#define QLAB_TRY_(temporary, declaration, keyword, ...)               \
  auto temporary = (__VA_ARGS__);                                     \
  if (!temporary) keyword ::qlab::fail(std::move(temporary).error()); \
  declaration = std::move(*temporary)
#define QLAB_TRY_VOID_(temporary, keyword, ...) \
  if (auto temporary = (__VA_ARGS__); !temporary) keyword ::qlab::fail(std::move(temporary).error())

// TRY(auto x, f()) passes an error on to the caller; CO_TRY does so from a coroutine.
// The expression may hold commas. TRY_VOID and CO_TRY_VOID are for Result<void>.
#define TRY(declaration, ...) \
  QLAB_TRY_(QLAB_CONCAT(try_, __LINE__), declaration, return, __VA_ARGS__)
#define TRY_VOID(...) QLAB_TRY_VOID_(QLAB_CONCAT(try_, __LINE__), return, __VA_ARGS__)
#define CO_TRY(declaration, ...) \
  QLAB_TRY_(QLAB_CONCAT(try_, __LINE__), declaration, co_return, __VA_ARGS__)
#define CO_TRY_VOID(...) QLAB_TRY_VOID_(QLAB_CONCAT(try_, __LINE__), co_return, __VA_ARGS__)
