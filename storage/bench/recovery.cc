// Writes logs, ends the process that wrote them cleanly or not, and recovers them.

#include "storage/bench/appends.h"
#include "storage/bench/child.h"
#include "storage/bench/driver.h"
#include "storage/bench/logs.h"
#include "storage/bench/modes.h"
#include "storage/bench/page_cache.h"
#include "storage/bench/recovered.h"
#include "storage/bench/world.h"

namespace qlab::storage::bench {
namespace {

// All bytes as fast as the engine takes them, then durable, so that what is to be recovered does
// not depend on how far write-back has come.
Task<Result<void>> fill(World& world, BenchOptions options) {
  CO_TRY(const std::unique_ptr<Layout> layout,
         make_layout(options.layout, world.runtime(), world.engine(), options.layout_options));
  CO_TRY_VOID(co_await layout->start());
  CO_TRY(std::vector<std::unique_ptr<Log>> logs,
         co_await open_logs(world.runtime(), *layout, options.log_options, options.partitions,
                            options.layout_options.recovery_parallelism));
  options.spread = Spread::round_robin;
  const std::unique_ptr<Target> target = make_log_appends(logs, options);
  CO_TRY_VOID(co_await target->start());
  for (std::uint64_t bytes = 0; bytes < options.bytes && !run_ends();) {
    CO_TRY(const std::uint64_t more, co_await target->operate());
    bytes += more;
  }
  for (const auto& log : logs) CO_TRY_VOID(co_await log->sync());
  if (options.end == End::killed) kill_myself();
  CO_TRY_VOID(co_await close_logs(logs));
  co_return co_await layout->stop();
}

}  // namespace

Result<void> run_recovery(const BenchOptions& options, Output& output) {
  if (options.stage == Stage::fill) {
    TRY(const std::unique_ptr<World> world, World::make(options, options.directory));
    return world->run([&] { return fill(*world, options); });
  }
  if (options.stage == Stage::recover) {
    return recover_and_print("recovery", options, options.directory, output);
  }
  TRY(const ScratchDirectory scratch, ScratchDirectory::make(options.directory));
  BenchOptions half = options;
  half.stage = Stage::fill;
  half.directory = scratch.path() / "data";
  TRY_VOID(run_child(half));
  return recover_and_print("recovery", options, half.directory, output);
}

}  // namespace qlab::storage::bench
