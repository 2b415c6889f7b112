#pragma once
// What a store is made of: its salt, its settled files, and how far the shared log is settled.
//
// One small file that is replaced atomically. What it names is there, whole and durable; what lies
// beside it unnamed is left over from a crash and goes at the next start.

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "runtime/disk.h"

namespace qlab::storage::shared {

inline constexpr std::size_t settled_slots = 64;

struct SettledFileEntry {
  std::uint8_t slot = 0;        // [0, 64): the bit that stands for it in a stream.
  std::uint64_t number = 0;     // Grows from 1; later files win over earlier ones.
  std::uint64_t footer_at = 0;  // Where the batches end.
  std::uint64_t entries = 0;    // Batches.
  std::uint64_t bytes = 0;
};

struct Manifest {
  std::uint64_t salt = 0;               // Of the checksums of the shared log.
  std::uint32_t settled_through = 0;    // All segments of the shared log up to this are settled.
  std::uint64_t next_file = 1;          // Numbers from here on were never used.
  std::vector<SettledFileEntry> files;  // By number.
};

std::string manifest_path(std::string_view directory);
// Nothing when there is none. Errors: corrupt, io.
Result<std::optional<Manifest>> read_manifest(runtime::Disk& disk, std::string_view directory);
// Durability: when it returns. Errors: no_space, io.
Result<void> write_manifest(runtime::Disk& disk, std::string_view directory,
                            const Manifest& manifest);

}  // namespace qlab::storage::shared
