#include "storage/shared/shared_layout.h"

#include "storage/shared/shared_log.h"

namespace qlab::storage {
namespace {

class SharedLayout final : public Layout {
 public:
  SharedLayout(runtime::Runtime& runtime, Engine& engine, const SharedOptions& options)
      : store_(runtime, engine, options) {}

  std::string_view name() const override { return "shared"; }

  Task<Result<std::unique_ptr<Log>>> open(LogName name, LogOptions options) override {
    CO_TRY(const shared::StreamId id, co_await store_.open(std::move(name.partition), name.topic));
    co_return std::make_unique<shared::SharedLog>(store_, id, store_.keep(options));
  }

  Task<Result<void>> start() override { return store_.start(); }
  Task<Result<void>> stop() override { return store_.stop(); }

  LayoutRecovery recovery() const override { return store_.layout_recovery(); }

 private:
  shared::Store store_;
};

}  // namespace

std::unique_ptr<Layout> make_shared_layout(runtime::Runtime& runtime, Engine& engine,
                                           LayoutOptions options) {
  return std::make_unique<SharedLayout>(runtime, engine, options.shared);
}

}  // namespace qlab::storage
