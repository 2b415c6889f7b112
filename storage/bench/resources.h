#pragma once
// What a measurement used up besides time: CPU, bytes written, faults, memory, descriptors.

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>

#include "storage/bench/options.h"

namespace qlab::storage::bench {

// The block device under a directory, as the kernel counts it: all of its writers, not only us.
class BlockDevice {
 public:
  struct Counts {
    std::uint64_t writes = 0;
    std::uint64_t bytes_written = 0;
    std::uint64_t flushes = 0;
  };

  // None where the file system is on no single device (tmpfs, overlay, btrfs's own numbers).
  static std::optional<BlockDevice> under(const std::filesystem::path& directory);

  const std::string& name() const { return name_; }
  Counts counts() const;

 private:
  std::string name_;
  std::filesystem::path stat_;  // Of sysfs; see the kernel's Documentation/block/stat.rst.
};

// Counters that only grow. Taken before and after what is measured.
struct Resources {
  // Of the process with all of its threads, io_uring's workers among them. Work that the kernel
  // does on threads of its own (write-back, the end of a direct write) is not in it.
  double user_s = 0;
  double system_s = 0;
  double machine_busy_s = 0;    // All CPUs, all processes; what the kernel's threads do is here.
  double machine_stolen_s = 0;  // Not given to this virtual machine.
  std::uint64_t faults_minor = 0;
  std::uint64_t faults_major = 0;
  std::uint64_t switches_voluntary = 0;
  std::uint64_t switches_involuntary = 0;
  // Of /proc/self/io: what we caused to be sent to disk. A write into the page cache counts when it
  // makes a page dirty, and then all of it, which may be a large folio of up to megabytes.
  std::uint64_t process_bytes_written = 0;
  BlockDevice::Counts device;
};

// What is held at one moment.
struct Holdings {
  std::uint64_t rss_bytes = 0;
  std::uint64_t rss_peak_bytes = 0;
  std::uint64_t heap_bytes = 0;   // As the allocator counts what is in use.
  std::uint64_t descriptors = 0;  // Of the process; those registered with io_uring are not in it.
  std::uint64_t slab_bytes = 0;   // Of the whole machine's kernel: inodes and the like.
};

Resources resources(const std::optional<BlockDevice>& device);
Holdings holdings();

// What was used between the two, as fields of a line. `operations` and `payload_bytes` are what it
// was used for.
Json used(const Resources& before, const Resources& after, std::uint64_t operations,
          std::uint64_t payload_bytes, const std::optional<BlockDevice>& device);
Json to_json(const Holdings& holdings);

}  // namespace qlab::storage::bench
