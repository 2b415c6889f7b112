#include "storage/bench/recovered.h"

#include "storage/bench/logs.h"
#include "storage/bench/page_cache.h"
#include "storage/bench/resources.h"
#include "storage/bench/world.h"

namespace qlab::storage::bench {
namespace {

double seconds(Duration duration) {
  return std::chrono::duration<double>(duration).count();
}

Json to_json(const LayoutRecovery& recovery) {
  Json phases = Json::object();
  for (std::size_t i = 0; i < recovery_phases; ++i) {
    phases[std::string(name_of(static_cast<RecoveryPhase>(i)))] = seconds(recovery.phases[i]);
  }
  const double scan_s = seconds(recovery.phases[static_cast<std::size_t>(RecoveryPhase::scan)]);
  return {
      {"logs", recovery.logs},
      {"logs_clean", recovery.clean},
      {"segments", recovery.segments},
      {"bytes_scanned", recovery.bytes_scanned},
      {"bytes_truncated", recovery.bytes_truncated},
      {"bytes_rewritten", recovery.bytes_rewritten},
      {"torn_tails", recovery.torn_tails},
      {"corrupt_ranges", recovery.corrupt_ranges},
      {"phases_s", phases},
      {"scan_bytes_per_s",
       scan_s > 0 ? Json(static_cast<double>(recovery.bytes_scanned) / scan_s) : Json(nullptr)}};
}

struct Recovered {
  Json figures;
  Resources before;
  Resources after;
};

Task<Result<Recovered>> recover(World& world, BenchOptions options) {
  runtime::Runtime& runtime = world.runtime();
  Recovered all;
  all.before = resources(world.device());
  const Time began = runtime.now();
  CO_TRY(const std::unique_ptr<Layout> layout,
         make_layout(options.layout, runtime, world.engine(), options.layout_options));
  CO_TRY_VOID(co_await layout->start());
  const Time started = runtime.now();
  CO_TRY(std::vector<std::unique_ptr<Log>> logs,
         co_await open_logs(runtime, *layout, options.log_options, options.partitions,
                            options.layout_options.recovery_parallelism));
  const Time ended = runtime.now();
  all.after = resources(world.device());
  std::int64_t records = 0;
  for (const auto& log : logs) records += log->end().value() - log->start().value();
  const LayoutRecovery recovery = layout->recovery();
  all.figures = {{"elapsed_s", seconds(ended - began)},
                 {"start_s", seconds(started - began)},
                 {"open_s", seconds(ended - started)},
                 {"records", records}};
  all.figures.update(to_json(recovery));
  all.figures.update(bench::to_json(holdings()));
  CO_TRY_VOID(co_await close_logs(logs));
  CO_TRY_VOID(co_await layout->stop());
  co_return all;
}

}  // namespace

Result<void> recover_and_print(std::string_view what, const BenchOptions& options,
                               const std::filesystem::path& root, Output& output) {
  TRY_VOID(make_cold(root, options.cold));
  const Cached files = cached(root);
  TRY(const std::unique_ptr<World> world, World::make(options, root));
  std::optional<Recovered> all;
  TRY_VOID(world->run([&]() -> Task<Result<void>> {
    CO_TRY(all, co_await recover(*world, options));
    co_return Result<void>{};
  }));
  Json figures = {{"files", files.files},
                  {"file_bytes", files.bytes},
                  {"file_bytes_cached_before", files.bytes_cached}};
  figures.update(all->figures);
  figures.update(used(all->before, all->after, options.partitions,
                      all->figures["bytes_scanned"].get<std::uint64_t>(), world->device()));
  return output.print(what, figures, root);
}

}  // namespace qlab::storage::bench
