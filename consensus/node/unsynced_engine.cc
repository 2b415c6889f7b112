#include "consensus/node/unsynced_engine.h"

#include <utility>

namespace qlab::consensus::node {
namespace {

using storage::Engine;
using storage::Segment;
using storage::Task;

class UnsyncedSegment final : public Segment {
 public:
  explicit UnsyncedSegment(std::unique_ptr<Segment> segment) : segment_(std::move(segment)) {}

  Task<Result<void>> append(std::vector<ByteView> pieces) override {
    return segment_->append(std::move(pieces));
  }
  Task<Result<std::uint64_t>> sync() override { co_return segment_->size(); }
  Task<Result<Bytes>> read(std::uint64_t position, std::size_t count) override {
    return segment_->read(position, count);
  }
  Task<Result<void>> truncate(std::uint64_t size) override { return segment_->truncate(size); }
  Task<Result<void>> rewrite(std::uint64_t) override { co_return Result<void>{}; }
  std::uint64_t size() const override { return segment_->size(); }
  std::uint64_t durable_size() const override { return segment_->durable_size(); }
  Task<Result<void>> close() override { return segment_->close(); }

 private:
  std::unique_ptr<Segment> segment_;
};

class UnsyncedEngine final : public Engine {
 public:
  explicit UnsyncedEngine(std::unique_ptr<Engine> engine) : engine_(std::move(engine)) {}

  std::string_view name() const override { return engine_->name(); }
  bool is_persistent() const override { return engine_->is_persistent(); }
  Task<Result<void>> start() override { return engine_->start(); }
  Task<void> stop() override { return engine_->stop(); }
  Task<Result<std::unique_ptr<Segment>>> open(std::string path) override {
    CO_TRY(auto segment, co_await engine_->open(std::move(path)));
    co_return std::make_unique<UnsyncedSegment>(std::move(segment));
  }
  Result<std::vector<std::string>> list(std::string_view directory) override {
    return engine_->list(directory);
  }
  Result<void> remove(std::string_view path) override { return engine_->remove(path); }

 private:
  std::unique_ptr<Engine> engine_;
};

}  // namespace

std::unique_ptr<Engine> make_unsynced(std::unique_ptr<Engine> engine) {
  return std::make_unique<UnsyncedEngine>(std::move(engine));
}

}  // namespace qlab::consensus::node
