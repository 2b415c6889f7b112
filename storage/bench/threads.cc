// The baseline of group commit: each thread makes its own appends durable, and nobody gathers.

#include <atomic>
#include <cstring>
#include <memory>
#include <thread>

#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include "runtime/disk.h"
#include "runtime/real/fd.h"
#include "runtime/real/timers.h"
#include "storage/bench/appends.h"
#include "storage/bench/driver.h"
#include "storage/bench/modes.h"
#include "storage/bench/world.h"

namespace qlab::storage::bench {
namespace {

using runtime::Fd;
using runtime::monotonic_now;

Duration from_seconds(double seconds) {
  return std::chrono::duration_cast<Duration>(std::chrono::duration<double>(seconds));
}

struct Free {
  void operator()(void* memory) const { std::free(memory); }
};

// The file that all overwrite: zeros were written to it, so that a write changes data only.
Result<void> write_zeros(const std::filesystem::path& path, std::uint64_t bytes) {
  const Fd fd(::open(path.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0644));
  const Bytes zeros(1u << 20);
  for (std::uint64_t at = 0; at < bytes; at += zeros.size()) {
    const std::size_t count = std::min<std::uint64_t>(zeros.size(), bytes - at);
    if (::pwrite(fd.get(), zeros.data(), count, static_cast<off_t>(at)) !=
        static_cast<ssize_t>(count)) {
      return fail(errno_error(errno, fmt::format("fill {}", path.string())));
    }
  }
  if (::fsync(fd.get()) != 0) return fail(errno_error(errno, "sync the file of zeros"));
  return {};
}

// What the threads share.
struct Baseline {
  const BenchOptions& options;
  std::filesystem::path path;
  std::uint64_t step = 0;  // From one append to the next; a direct one takes whole blocks.
  Time begins = {};
  Time ends = {};
  std::atomic<std::uint64_t> next = 0;  // Counts appends; wraps over the file.
};

class Appender {
 public:
  explicit Appender(Baseline& shared) : shared_(shared) {
    measurement_.begin(shared.begins);
    measurement_.end(shared.ends);
  }

  void run() {
    const bool direct = shared_.options.thread_path == ThreadPath::direct;
    const Fd fd(
        ::open(shared_.path.c_str(), O_WRONLY | O_CLOEXEC | (direct ? O_DIRECT | O_DSYNC : 0)));
    const std::unique_ptr<void, Free> memory(
        std::aligned_alloc(runtime::direct_alignment, round_up(shared_.step)));
    std::memset(memory.get(), 0x5a, shared_.step);
    const std::uint64_t places = shared_.options.bytes / shared_.step;
    while (!run_ends()) {
      const Time sent = monotonic_now();
      if (sent >= shared_.ends) return;
      const std::uint64_t place = shared_.next.fetch_add(1, std::memory_order_relaxed) % places;
      const ssize_t wrote =
          ::pwrite(fd.get(), memory.get(), shared_.step, static_cast<off_t>(place * shared_.step));
      const bool good =
          wrote == static_cast<ssize_t>(shared_.step) && (direct || ::fdatasync(fd.get()) == 0);
      if (!good) {
        measurement_.failed(errno_error(errno, "an append of the baseline"));
        return;
      }
      measurement_.succeeded(sent, sent, monotonic_now(), shared_.options.size);
    }
  }

  const Measurement& measurement() const { return measurement_; }

  static std::uint64_t round_up(std::uint64_t bytes) {
    constexpr std::uint64_t block = runtime::direct_alignment;
    return (bytes + block - 1) / block * block;
  }

 private:
  Baseline& shared_;
  Measurement measurement_;
};

}  // namespace

Result<void> run_threads(const BenchOptions& options, Output& output) {
  TRY(const ScratchDirectory scratch, ScratchDirectory::make(options.directory));
  Baseline shared{.options = options, .path = scratch.path() / "zeros"};
  shared.step =
      options.thread_path == ThreadPath::direct ? Appender::round_up(options.size) : options.size;
  if (options.bytes < shared.step) {
    return fail(Errc::invalid, "--bytes={}: less than one append of {}", options.bytes,
                shared.step);
  }
  TRY_VOID(write_zeros(shared.path, options.bytes));
  const std::optional<BlockDevice> device = BlockDevice::under(scratch.path());
  shared.begins = monotonic_now() + from_seconds(options.warmup_s);
  shared.ends = shared.begins + from_seconds(options.duration_s);
  std::vector<std::unique_ptr<Appender>> appenders;
  std::vector<std::thread> threads;
  for (std::uint64_t i = 0; i < options.concurrency; ++i) {
    appenders.push_back(std::make_unique<Appender>(shared));
    threads.emplace_back([&appender = *appenders.back()] { appender.run(); });
  }
  Run run;
  std::this_thread::sleep_for(shared.begins - monotonic_now());
  run.before = resources(device);
  std::this_thread::sleep_for(shared.ends - monotonic_now());
  run.after = resources(device);
  for (std::thread& thread : threads) thread.join();
  run.measurement.begin(shared.begins);
  run.measurement.end(shared.ends);
  for (const auto& appender : appenders) run.measurement.merge(appender->measurement());
  Json figures = run.to_json(false, device);
  figures.update(to_json(holdings()));
  return output.print("threads", figures, scratch.path());
}

}  // namespace qlab::storage::bench
