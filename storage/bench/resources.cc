#include "storage/bench/resources.h"

#include <fstream>
#include <sstream>

#include <malloc.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

// jemalloc's own, where it is linked (a sanitizer's build does without).
extern "C" int mallctl(const char* name, void* old, std::size_t* old_size, void* next,
                       std::size_t next_size) __attribute__((weak));

namespace qlab::storage::bench {
namespace {

constexpr std::uint64_t sector_bytes = 512;  // The kernel's unit here, whatever the device's is.

double seconds(const timeval& time) {
  return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_usec) / 1e6;
}

// The number behind `key` in a file of lines `key: number ...`; 0 when there is none.
std::uint64_t field_of(const char* file, std::string_view key) {
  std::ifstream in(file);
  std::string line;
  while (std::getline(in, line)) {
    if (!line.starts_with(key) || line.size() <= key.size() || line[key.size()] != ':') continue;
    return std::strtoull(line.c_str() + key.size() + 1, nullptr, 10);
  }
  return 0;
}

// Source: proc(5): user nice system idle iowait irq softirq steal, in ticks.
void add_machine(Resources& all) {
  std::ifstream in("/proc/stat");
  std::string word;
  double user = 0, nice = 0, system = 0, idle = 0, waiting = 0, irq = 0, softirq = 0, stolen = 0;
  in >> word >> user >> nice >> system >> idle >> waiting >> irq >> softirq >> stolen;
  const auto ticks = static_cast<double>(::sysconf(_SC_CLK_TCK));
  all.machine_busy_s = (user + nice + system + irq + softirq) / ticks;
  all.machine_stolen_s = stolen / ticks;
}

std::uint64_t heap_in_use() {
  if (mallctl == nullptr) {
    const struct mallinfo2 info = ::mallinfo2();
    return info.uordblks + info.hblkhd;
  }
  std::uint64_t epoch = 1;  // Writing it brings the figures up to date.
  std::size_t size = sizeof epoch;
  (void)mallctl("epoch", &epoch, &size, &epoch, size);
  std::size_t allocated = 0;
  size = sizeof allocated;
  (void)mallctl("stats.allocated", &allocated, &size, nullptr, 0);
  return allocated;
}

}  // namespace

std::optional<BlockDevice> BlockDevice::under(const std::filesystem::path& directory) {
  struct stat info {};
  if (::stat(directory.c_str(), &info) != 0) return std::nullopt;
  const std::filesystem::path block =
      fmt::format("/sys/dev/block/{}:{}", major(info.st_dev), minor(info.st_dev));
  std::error_code error;
  const std::filesystem::path real = std::filesystem::canonical(block, error);
  if (error) return std::nullopt;
  BlockDevice device;
  device.name_ = real.filename();
  device.stat_ = real / "stat";
  return device;
}

BlockDevice::Counts BlockDevice::counts() const {
  std::ifstream in(stat_);
  std::uint64_t column = 0;
  Counts counts;
  for (int i = 1; in >> column; ++i) {
    if (i == 5) counts.writes = column;
    if (i == 7) counts.bytes_written = column * sector_bytes;
    if (i == 16) counts.flushes = column;
  }
  return counts;
}

Resources resources(const std::optional<BlockDevice>& device) {
  Resources all;
  rusage usage{};
  (void)::getrusage(RUSAGE_SELF, &usage);
  all.user_s = seconds(usage.ru_utime);
  all.system_s = seconds(usage.ru_stime);
  all.faults_minor = static_cast<std::uint64_t>(usage.ru_minflt);
  all.faults_major = static_cast<std::uint64_t>(usage.ru_majflt);
  all.switches_voluntary = static_cast<std::uint64_t>(usage.ru_nvcsw);
  all.switches_involuntary = static_cast<std::uint64_t>(usage.ru_nivcsw);
  all.process_bytes_written = field_of("/proc/self/io", "write_bytes");
  add_machine(all);
  if (device) all.device = device->counts();
  return all;
}

Holdings holdings() {
  constexpr std::uint64_t kib = 1024;
  Holdings now;
  now.rss_bytes = field_of("/proc/self/status", "VmRSS") * kib;
  now.rss_peak_bytes = field_of("/proc/self/status", "VmHWM") * kib;
  now.heap_bytes = heap_in_use();
  now.slab_bytes = field_of("/proc/meminfo", "Slab") * kib;
  std::error_code ignored;
  for (const auto& entry : std::filesystem::directory_iterator("/proc/self/fd", ignored)) {
    (void)entry;
    ++now.descriptors;
  }
  if (now.descriptors > 0) --now.descriptors;  // The one that reads the directory.
  return now;
}

Json used(const Resources& before, const Resources& after, std::uint64_t operations,
          std::uint64_t payload_bytes, const std::optional<BlockDevice>& device) {
  const double cpu_s = after.user_s - before.user_s + after.system_s - before.system_s;
  const auto per_operation = [&](double value) {
    return operations == 0 ? Json(nullptr) : Json(value / static_cast<double>(operations));
  };
  const auto amplification = [&](std::uint64_t written) {
    return payload_bytes == 0
               ? Json(nullptr)
               : Json(static_cast<double>(written) / static_cast<double>(payload_bytes));
  };
  Json line;
  line["cpu_us_per_operation"] = per_operation(cpu_s * 1e6);
  line["cpu_user_s"] = after.user_s - before.user_s;
  line["cpu_system_s"] = after.system_s - before.system_s;
  line["machine_busy_s"] = after.machine_busy_s - before.machine_busy_s;
  line["machine_stolen_s"] = after.machine_stolen_s - before.machine_stolen_s;
  line["faults_minor"] = after.faults_minor - before.faults_minor;
  line["faults_major"] = after.faults_major - before.faults_major;
  line["switches_voluntary"] = after.switches_voluntary - before.switches_voluntary;
  line["switches_involuntary"] = after.switches_involuntary - before.switches_involuntary;
  const std::uint64_t process_bytes = after.process_bytes_written - before.process_bytes_written;
  line["process_bytes_written"] = process_bytes;
  line["write_amplification_process"] = amplification(process_bytes);
  line["device"] = device ? Json(device->name()) : Json(nullptr);
  if (!device) return line;
  const std::uint64_t device_bytes = after.device.bytes_written - before.device.bytes_written;
  line["device_writes"] = after.device.writes - before.device.writes;
  line["device_flushes"] = after.device.flushes - before.device.flushes;
  line["device_bytes_written"] = device_bytes;
  line["write_amplification_device"] = amplification(device_bytes);
  return line;
}

Json to_json(const Holdings& holdings) {
  return {{"rss_bytes", holdings.rss_bytes},
          {"rss_peak_bytes", holdings.rss_peak_bytes},
          {"heap_bytes", holdings.heap_bytes},
          {"descriptors", holdings.descriptors},
          {"kernel_slab_bytes", holdings.slab_bytes}};
}

}  // namespace qlab::storage::bench
