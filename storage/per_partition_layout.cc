#include "storage/per_partition_layout.h"

#include "common/logging.h"
#include "runtime/disk.h"
#include "storage/directory_removal.h"
#include "storage/partition_log.h"

namespace qlab::storage {
namespace {

// partition.metadata in Kafka's form: it tells a directory of a deleted topic from one of its
// namesake.
std::string metadata_text(const TopicId& id) {
  return fmt::format("version: 0\ntopic_id: {}\n", id.to_string());
}

class PerPartitionLayout final : public Layout {
 public:
  PerPartitionLayout(runtime::Runtime& runtime, Engine& engine, LayoutOptions options)
      : runtime_(runtime),
        engine_(engine),
        context_(std::make_shared<LogContext>(runtime, engine, options.open_files_max)) {
    recovery_.parallelism = options.recovery_parallelism;
  }

  std::string_view name() const override { return "per_partition"; }

  Task<Result<std::unique_ptr<Log>>> open(LogName name, LogOptions options) override {
    if (engine_.is_persistent()) CO_TRY_VOID(claim_directory(name));
    if (recovery_.logs == 0) first_open_ = runtime_.now();
    auto opened = co_await open_partition_log(context_, std::move(name.partition), options);
    recovery_.elapsed = runtime_.now() - first_open_;
    if (opened) {
      recovery_.add((*opened)->recovery());
    } else {
      ++recovery_.logs;
      ++recovery_.failed;
    }
    co_return opened;
  }

  Task<Result<void>> start() override {
    if (!engine_.is_persistent()) co_return Result<void>{};
    co_return delete_what_was_set_aside(runtime_.disk());
  }
  Task<Result<void>> stop() override { co_return Result<void>{}; }
  LayoutRecovery recovery() const override { return recovery_; }

 private:
  Result<void> claim_directory(const LogName& name) {
    runtime::Disk& disk = runtime_.disk();
    const std::string path = name.partition + "/partition.metadata";
    TRY(const bool there, disk.exists(path));
    if (there) {
      TRY(const Bytes text, disk.read_file(path));
      if (as_text(text) == metadata_text(name.topic)) return {};
      log(LogLevel::info, "storage", "{} is of a topic that was deleted, removing it",
          name.partition);
      TRY_VOID(remove_directory(disk, name.partition));
    }
    TRY_VOID(disk.make_directories(name.partition));
    return disk.write_file_atomically(path, as_view(metadata_text(name.topic)));
  }

  runtime::Runtime& runtime_;
  Engine& engine_;
  const std::shared_ptr<LogContext> context_;
  LayoutRecovery recovery_;
  Time first_open_{};
};

}  // namespace

std::unique_ptr<Layout> make_per_partition_layout(runtime::Runtime& runtime, Engine& engine,
                                                  LayoutOptions options) {
  return std::make_unique<PerPartitionLayout>(runtime, engine, options);
}

}  // namespace qlab::storage
