// How a log is opened: from its directory, or from what is known of it since it was closed.

#include <limits>

#include "storage/kafka_files.h"
#include "storage/partition_log.h"

namespace qlab::storage {

Task<Result<std::unique_ptr<Log>>> Log::open(runtime::Runtime& runtime, Engine& engine,
                                             std::string directory, LogOptions options) {
  const LayoutOptions uncapped{.open_files_max = std::numeric_limits<std::size_t>::max()};
  auto context = std::make_shared<LogContext>(runtime, engine, uncapped);
  if (engine.is_persistent()) CO_TRY_VOID(runtime.disk().make_directories(directory));
  LogName name{std::move(directory), {}};
  co_return co_await open_partition_log(std::move(context), std::move(name), options,
                                        DirectoryState::durable);
}

Task<Result<std::unique_ptr<Log>>> open_partition_log(std::shared_ptr<LogContext> context,
                                                      LogName name, LogOptions options,
                                                      DirectoryState found) {
  CO_TRY(RecoveredLog recovered, co_await recover(*context, name, options, found));
  co_return std::make_unique<PartitionLog>(std::move(context), std::move(name), options,
                                           std::move(recovered));
}

std::unique_ptr<Log> new_partition_log(std::shared_ptr<LogContext> context, LogName name,
                                       LogOptions options, RecoveryReport report) {
  RecoveredLog log;
  log.directory = DirectoryState::none;
  log.report = std::move(report);
  const std::string path = path_in(name.partition, segment_file_name(Offset{0}, data_suffix));
  log.segments.push_back(std::make_shared<LogSegment>(context->files.unmade(path), name.partition,
                                                      Offset{0}, options.index_interval_bytes));
  return std::make_unique<PartitionLog>(std::move(context), std::move(name), options,
                                        std::move(log));
}

std::unique_ptr<Log> reopen_partition_log(std::shared_ptr<LogContext> context, LogName name,
                                          LogOptions options, ClosedLog closed) {
  RecoveredLog log;
  log.epochs = std::move(closed.epochs);
  log.point = log.stored = closed.point;
  log.compacted = closed.compacted;
  log.report.clean = true;
  for (std::size_t i = 0; i < closed.segments.size(); ++i) {
    const ClosedLog::SegmentFile& file = closed.segments[i];
    const bool last = i + 1 == closed.segments.size();
    const std::string path = path_in(name.partition, segment_file_name(file.base, data_suffix));
    auto segment =
        std::make_shared<LogSegment>(context->files.known(path, file.size), name.partition,
                                     file.base, options.index_interval_bytes);
    segment->mark_durable(file.size);
    segment->index_later(context->runtime, file.size,
                         last ? closed.point.offset : closed.segments[i + 1].base);
    if (!last) segment->seal(context->runtime);
    log.segments.push_back(std::move(segment));
  }
  return std::make_unique<PartitionLog>(std::move(context), std::move(name), options,
                                        std::move(log));
}

}  // namespace qlab::storage
