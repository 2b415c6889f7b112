#pragma once
// What may be chosen about an engine, whichever it is. The simulator draws from the same bounds.

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "common/result.h"

namespace qlab::storage {

// How the file of a new segment gets its space. Prepared files are made off the hot path and wait
// as spares; an engine that writes no files takes every word and does nothing.
enum class Preallocation : std::uint8_t {
  none,      // Each append extends the file (Kafka's default).
  extents,   // Space is reserved (fallocate): the first write of a block still changes metadata.
  zeros,     // Zeros are written: a durable append changes data only.
  recycled,  // As zeros, and the file of a removed segment is zeroed anew and becomes a spare.
};

// The words of log.preallocation, in the order of the enum.
std::vector<std::string_view> preallocation_names();
std::string_view name_of(Preallocation preallocation);
// Errors: invalid, naming the key, its value and what is allowed.
Result<Preallocation> parse_preallocation(std::string_view name);

struct EngineOptions {
  Preallocation preallocation =
      Preallocation::none;  // log.preallocation: none | extents | zeros | recycled.
  std::uint64_t prepared_bytes =
      64u << 20;           // log.preallocate.bytes, [1 MiB, 1 GiB]: the size of a prepared file.
  std::size_t spares = 2;  // log.preallocate.spares, [0, 64]: prepared files that wait, per engine.

  // Where they wait, below the disk's root; an engine has one of its own, and removes what is
  // there.
  std::string spare_directory = "spare-segments";

  // Errors: invalid, naming the key, its value and what is allowed.
  Result<void> validate() const;
};

}  // namespace qlab::storage
