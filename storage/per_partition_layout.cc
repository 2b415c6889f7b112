#include "storage/per_partition_layout.h"

#include <algorithm>

#include "common/logging.h"
#include "runtime/async.h"
#include "runtime/disk.h"
#include "storage/directory_removal.h"
#include "storage/kafka_files.h"
#include "storage/partition_log.h"
#include "storage/shared/store.h"

namespace qlab::storage {
namespace {

// Names that are looked at without a pause.
constexpr std::size_t looked_at_once = 256;

// No partition is named so: their names end with a number.
constexpr std::string_view closed_logs_directory = "closed-logs";

std::string suffix_of(std::size_t shard_count) {
  return fmt::format("-of-{}", shard_count);
}

class PerPartitionLayout final : public Layout {
 public:
  PerPartitionLayout(runtime::Runtime& runtime, Engine& engine, LayoutOptions options)
      : runtime_(runtime),
        engine_(engine),
        context_(std::make_shared<LogContext>(runtime, engine, options)),
        closed_logs_(fmt::format("{}/{}{}", closed_logs_directory, options.shard,
                                 suffix_of(options.shard_count))),
        shard_count_(options.shard_count) {
    recovery_.parallelism = options.recovery_parallelism;
  }

  std::string_view name() const override { return "per_partition"; }

  Task<Result<std::unique_ptr<Log>>> open(LogName name, LogOptions options) override {
    if (recovery_.logs == 0) first_open_ = runtime_.now();
    auto opened = co_await open_one(std::move(name), options);
    recovery_.elapsed = runtime_.now() - first_open_;
    if (opened) {
      const RecoveryReport& report = (*opened)->recovery();
      recovery_.add(report);
      if (report.dropped) log(LogLevel::warn, "storage", "{}", *report.dropped);
    } else {
      ++recovery_.logs;
      ++recovery_.failed;
    }
    co_return opened;
  }

  Task<Result<void>> start() override {
    if (!engine_.is_persistent()) co_return Result<void>{};
    CO_TRY(const bool is_shared, runtime_.disk().exists(shared::stores_directory));
    if (is_shared) {
      co_return fail(Errc::invalid, "log.layout=per_partition, and {}/ was made with shared",
                     shared::stores_directory);
    }
    CO_TRY_VOID(drop_other_shard_counts());
    CO_TRY_VOID(context_->closed.load(runtime_.disk(), closed_logs_));
    CO_TRY_VOID(delete_what_was_set_aside(runtime_.disk()));
    CO_TRY(const std::vector<std::string> names, runtime_.disk().list(""));
    context_->directories.emplace(names.begin(), names.end());
    co_return Result<void>{};
  }
  Task<Result<void>> stop() override {
    if (!engine_.is_persistent()) co_return Result<void>{};
    CO_TRY_VOID(runtime_.disk().make_directories(closed_logs_directory));
    co_return context_->closed.store(runtime_.disk(), closed_logs_);
  }
  LayoutRecovery recovery() const override { return recovery_; }

  Task<Result<std::vector<LogName>>> find_strays(Tenants tenants) override {
    std::vector<LogName> strays;
    if (!context_->directories) co_return std::move(strays);
    std::size_t seen = 0;
    for (const std::string& name : *context_->directories) {
      if (++seen % looked_at_once == 0) co_await runtime::yield(runtime_);
      if (!partition_named(name) || tenants(name)) continue;
      CO_TRY(const std::optional<TopicId> topic, topic_of_directory(runtime_.disk(), name));
      if (topic) strays.push_back({name, *topic});
    }
    std::ranges::sort(strays, {}, &LogName::partition);
    co_return std::move(strays);
  }

  // They share a sync of their parent.
  Task<Result<void>> remove(std::vector<LogName> logs) override {
    runtime::Disk& disk = runtime_.disk();
    std::vector<std::string> aside;
    for (const LogName& name : logs) {
      co_await runtime::yield(runtime_);
      CO_TRY(const std::optional<TopicId> topic, topic_of_directory(disk, name.partition));
      if (topic != name.topic) continue;
      context_->closed.take(name.partition);
      CO_TRY(std::string path, rename_aside(disk, name.partition));
      if (context_->directories) context_->directories->erase(name.partition);
      aside.push_back(std::move(path));
    }
    if (aside.empty()) co_return Result<void>{};
    CO_TRY_VOID(co_await context_->root.join());
    for (const std::string& path : aside) {
      co_await runtime::yield(runtime_);
      CO_TRY_VOID(disk.remove_all(path));
    }
    co_return Result<void>{};
  }

 private:
  Task<Result<std::unique_ptr<Log>>> open_one(LogName name, LogOptions options) {
    std::optional<ClosedLog> closed = context_->closed.take(name.partition);
    if (closed && closed->topic == name.topic) {
      if (closed->segments.empty()) {
        RecoveryReport clean;
        clean.clean = true;
        co_return new_partition_log(context_, std::move(name), options, std::move(clean));
      }
      co_return reopen_partition_log(context_, std::move(name), options, std::move(*closed));
    }
    if (!engine_.is_persistent()) {
      co_return co_await open_partition_log(context_, std::move(name), options,
                                            DirectoryState::durable);
    }
    const auto& directories = context_->directories;
    if (directories && !directories->contains(name.partition)) {
      RecoveryReport nothing;
      nothing.clean = true;
      co_return new_partition_log(context_, std::move(name), options, std::move(nothing));
    }
    CO_TRY(FoundDirectory found, co_await find_log_directory(runtime_.disk(), name));
    if (found.state == DirectoryState::none) {
      co_return new_partition_log(context_, std::move(name), options, std::move(found.report));
    }
    co_return co_await open_partition_log(context_, std::move(name), options, found.state);
  }

  // With another number of shards other logs were ours. What was known of logs then is wrong as
  // soon as one of them is written to.
  Result<void> drop_other_shard_counts() {
    runtime::Disk& disk = runtime_.disk();
    TRY(const bool there, disk.exists(closed_logs_directory));
    if (!there) return {};
    TRY(const std::vector<std::string> names, disk.list(closed_logs_directory));
    bool any = false;
    for (const std::string& name : names) {
      if (name.ends_with(suffix_of(shard_count_))) continue;
      TRY_VOID(disk.remove(fmt::format("{}/{}", closed_logs_directory, name)));
      any = true;
    }
    return any ? disk.sync_directory(closed_logs_directory) : Result<void>{};
  }

  runtime::Runtime& runtime_;
  Engine& engine_;
  const std::shared_ptr<LogContext> context_;
  const std::string closed_logs_;  // Path of the file.
  const std::size_t shard_count_;
  LayoutRecovery recovery_;
  Time first_open_{};
};

}  // namespace

std::unique_ptr<Layout> make_per_partition_layout(runtime::Runtime& runtime, Engine& engine,
                                                  LayoutOptions options) {
  return std::make_unique<PerPartitionLayout>(runtime, engine, options);
}

}  // namespace qlab::storage
