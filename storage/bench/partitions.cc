// What one more partition costs: makes many logs, begins those that are active with a record each,
// appends to them at random, kills itself, and recovers them all.

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

double seconds(Duration duration) {
  return std::chrono::duration<double>(duration).count();
}

// Prints its line and ends the process.
Task<Result<void>> fill(World& world, BenchOptions options, Output& output) {
  runtime::Runtime& runtime = world.runtime();
  const Holdings empty = holdings();
  const Resources before = resources(world.device());
  const Time began = runtime.now();
  CO_TRY(const std::unique_ptr<Layout> layout,
         make_layout(options.layout, runtime, world.engine(), options.layout_options));
  CO_TRY_VOID(co_await layout->start());
  CO_TRY(const std::vector<std::unique_ptr<Log>> logs,
         co_await open_logs(runtime, *layout, options.log_options, options.partitions,
                            options.layout_options.recovery_parallelism));
  Json creation = {{"elapsed_s", seconds(runtime.now() - began)}};
  creation.update(used(before, resources(world.device()), options.partitions, 0, world.device()));
  creation.update(to_json(holdings()));

  const Time made = runtime.now();
  const std::uint64_t active = active_partitions(options);
  if (options.active > 0) CO_TRY_VOID(co_await append_to_each(runtime, logs, active, options));
  const Json first = {{"appends", options.active}, {"elapsed_s", seconds(runtime.now() - made)}};

  BenchOptions load = options;
  load.partitions = active;
  const std::unique_ptr<Target> target = make_log_appends(logs, load);
  CO_TRY_VOID(co_await target->start());
  const Run run = co_await drive(runtime, *target, load, world.device());
  Json figures = {{"creation", creation}, {"first_appends", first}, {"before", to_json(empty)}};
  figures.update(run.to_json(false, world.device()));
  figures.update(to_json(holdings()));
  CO_TRY_VOID(output.print("partitions", figures, world.root()));
  kill_myself();
}

}  // namespace

Result<void> run_partitions(const BenchOptions& options, Output& output) {
  if (options.stage == Stage::fill) {
    TRY(const std::unique_ptr<World> world, World::make(options, options.directory));
    return world->run([&] { return fill(*world, options, output); });
  }
  if (options.stage == Stage::recover) {
    return recover_and_print("partitions_recovery", options, options.directory, output);
  }
  TRY(const ScratchDirectory scratch, ScratchDirectory::make(options.directory));
  BenchOptions half = options;
  half.stage = Stage::fill;
  half.directory = scratch.path() / "data";
  TRY_VOID(run_child(half));
  return recover_and_print("partitions_recovery", options, half.directory, output);
}

}  // namespace qlab::storage::bench
