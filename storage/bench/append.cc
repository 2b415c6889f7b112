#include "storage/bench/appends.h"
#include "storage/bench/driver.h"
#include "storage/bench/modes.h"
#include "storage/bench/world.h"

namespace qlab::storage::bench {
namespace {

Task<Result<void>> measure(World& world, BenchOptions options, Output& output) {
  const std::unique_ptr<Target> target =
      options.level == Level::segment
          ? make_segment_appends(world.runtime(), world.engine(), options)
          : make_log_appends(world.runtime(), world.engine(), options);
  CO_TRY_VOID(co_await target->start());
  const Run run = co_await drive(world.runtime(), *target, options, world.device());
  Json figures = run.to_json(options.rate > 0, world.device());
  figures.update(to_json(holdings()));
  CO_TRY_VOID(output.print("append", figures, world.root()));
  const Result<void> stopped = co_await target->stop();
  if (run.measurement.errors() > 0) co_return Result<void>{};  // The line tells it.
  co_return stopped;
}

}  // namespace

Result<void> run_append(const BenchOptions& options, Output& output) {
  TRY(const ScratchDirectory scratch, ScratchDirectory::make(options.directory));
  TRY(const std::unique_ptr<World> world, World::make(options, scratch.path()));
  return world->run([&] { return measure(*world, options, output); });
}

}  // namespace qlab::storage::bench
