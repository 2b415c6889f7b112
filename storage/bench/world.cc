#include "storage/bench/world.h"

#include <array>
#include <fstream>

#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/statfs.h>
#include <sys/utsname.h>

namespace qlab::storage::bench {
namespace {

// Timers of this thread fire when they are due and not up to 50 us later, for an open loop's sake.
void sharpen_timers() {
  (void)::prctl(PR_SET_TIMERSLACK, 1UL);
}

runtime::FaultHook delay_hook(const BenchOptions& options) {
  const auto delay = std::chrono::microseconds(options.delay_us);
  const auto at = options.delay_at == DelayAt::write ? runtime::DiskOperation::write
                                                     : runtime::DiskOperation::sync;
  return [delay, at](const runtime::DiskAccess& access) {
    runtime::DiskFault fault;
    if (access.operation == at) fault.delay = delay;
    return fault;
  };
}

// Source: statfs(2) and linux/magic.h.
std::string filesystem_of(const std::filesystem::path& directory) {
  constexpr std::array<std::pair<std::uint32_t, std::string_view>, 5> known = {
      {{0xEF53, "ext4"},
       {0x58465342, "xfs"},
       {0x9123683E, "btrfs"},
       {0x01021994, "tmpfs"},
       {0x794C7630, "overlay"}}};
  struct statfs info {};
  if (::statfs(directory.c_str(), &info) != 0) return "unknown";
  const auto magic = static_cast<std::uint32_t>(info.f_type);
  for (const auto& [number, name] : known) {
    if (number == magic) return std::string(name);
  }
  return fmt::format("{:#x}", magic);
}

}  // namespace

Result<ScratchDirectory> ScratchDirectory::make(const std::string& parent) {
  std::error_code error;
  const std::filesystem::path base =
      parent.empty() ? std::filesystem::read_symlink("/proc/self/exe", error).parent_path()
                     : std::filesystem::path(parent);
  std::filesystem::create_directories(base, error);
  std::string path = base / "qlab-bench.XXXXXX";
  if (::mkdtemp(path.data()) == nullptr) {
    return fail(errno_error(errno, fmt::format("make a directory in {}", base.string())));
  }
  return ScratchDirectory(path);
}

ScratchDirectory::~ScratchDirectory() {
  std::error_code ignored;  // What is left can be removed by hand; the figures are already out.
  if (!path_.empty()) std::filesystem::remove_all(path_, ignored);
}

Result<std::unique_ptr<World>> World::make(const BenchOptions& options,
                                           std::filesystem::path root) {
  sharpen_timers();
  std::unique_ptr<World> world(new World());
  world->options_ = options;
  world->root_ = std::move(root);
  std::vector<int> cpus;
  if (options.cpu >= 0) cpus.push_back(static_cast<int>(options.cpu));
  TRY(world->shards_, runtime::RealShards::create({.root = world->root_,
                                                   .node = NodeId{0},
                                                   .shards = 1,
                                                   .cpus = std::move(cpus),
                                                   .trace_file = {},
                                                   .seed = options.seed}));
  if (options.delay_us > 0) world->shards_->set_fault_hook(0, delay_hook(options));
  TRY(world->engine_, make_engine(options.engine, world->runtime(), options.engine_options));
  world->device_ = BlockDevice::under(world->root_);
  return world;
}

Result<void> World::run(std::function<Task<Result<void>>()> task) {
  Result<void> outcome;
  shards_->run([&]() -> Task<void> {
    outcome = co_await engine_->start();
    if (outcome) outcome = co_await task();
    co_await engine_->stop();
  });
  return outcome;
}

Json machine_facts(const std::filesystem::path& directory) {
  struct utsname system {};
  (void)::uname(&system);
  std::ifstream in("/proc/loadavg");
  double load = 0;
  in >> load;
  return {{"kernel", system.release}, {"filesystem", filesystem_of(directory)}, {"load", load}};
}

}  // namespace qlab::storage::bench
