#include "storage/shared/shared_layout.h"

#include "runtime/disk.h"
#include "storage/shared/shared_log.h"

namespace qlab::storage {
namespace {

class SharedLayout final : public Layout {
 public:
  SharedLayout(runtime::Runtime& runtime, Engine& engine, const LayoutOptions& options)
      : runtime_(runtime),
        engine_(engine),
        suffix_(fmt::format("-of-{}", options.shard_count)),
        store_(runtime, engine, options.shared,
               fmt::format("{}/{}{}", shared::stores_directory, options.shard, suffix_)) {}

  std::string_view name() const override { return "shared"; }

  Task<Result<std::unique_ptr<Log>>> open(LogName name, LogOptions options) override {
    CO_TRY(const shared::StreamId id, co_await store_.open(std::move(name.partition), name.topic));
    co_return std::make_unique<shared::SharedLog>(store_, id, store_.keep(options));
  }

  Task<Result<void>> start() override {
    if (engine_.is_persistent()) CO_TRY_VOID(check_directory());
    co_return co_await store_.start();
  }
  Task<Result<void>> stop() override { return store_.stop(); }

  LayoutRecovery recovery() const override { return store_.layout_recovery(); }

  Task<Result<std::vector<LogName>>> find_strays(Tenants tenants) override {
    return store_.find_strays(std::move(tenants));
  }
  Task<Result<void>> remove(std::vector<LogName> logs) override {
    return store_.remove(std::move(logs));
  }

 private:
  // What another layout or another number of shards left would not be found, and looks like loss.
  Result<void> check_directory() {
    runtime::Disk& disk = runtime_.disk();
    TRY(const std::vector<std::string> names, disk.list(""));
    for (const std::string& name : names) {
      TRY(const bool is_partition, disk.exists(name + "/partition.metadata"));
      if (!is_partition) continue;
      return fail(Errc::invalid, "log.layout=shared, and {} was made with per_partition", name);
    }
    TRY(const bool there, disk.exists(shared::stores_directory));
    if (!there) return {};
    TRY(const std::vector<std::string> stores, disk.list(shared::stores_directory));
    for (const std::string& name : stores) {
      if (name.ends_with(suffix_)) continue;
      return fail(Errc::invalid,
                  "{}/{} is of another number of shards (num.shards), and this one's end with {}",
                  shared::stores_directory, name, suffix_);
    }
    return {};
  }

  runtime::Runtime& runtime_;
  Engine& engine_;
  const std::string suffix_;
  shared::Store store_;
};

}  // namespace

std::unique_ptr<Layout> make_shared_layout(runtime::Runtime& runtime, Engine& engine,
                                           LayoutOptions options) {
  return std::make_unique<SharedLayout>(runtime, engine, options);
}

}  // namespace qlab::storage
