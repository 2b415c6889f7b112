#pragma once
// The world of a measurement: one shard of the real runtime over a fresh directory, an engine.

#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "runtime/real/real_runtime.h"
#include "storage/bench/options.h"
#include "storage/bench/resources.h"
#include "storage/engine.h"

namespace qlab::storage::bench {

using runtime::Task;

// A directory that goes away with its owner.
class ScratchDirectory {
 public:
  // A fresh one in `parent`; when that is empty, beside the program.
  static Result<ScratchDirectory> make(const std::string& parent);
  ~ScratchDirectory();
  ScratchDirectory(ScratchDirectory&& other) noexcept : path_(std::exchange(other.path_, {})) {}
  ScratchDirectory& operator=(ScratchDirectory&&) = delete;

  const std::filesystem::path& path() const { return path_; }

 private:
  explicit ScratchDirectory(std::filesystem::path path) : path_(std::move(path)) {}
  std::filesystem::path path_;
};

class World {
 public:
  // With the delay of the options injected, if any. Errors: invalid; io.
  static Result<std::unique_ptr<World>> make(const BenchOptions& options,
                                             std::filesystem::path root);

  runtime::Runtime& runtime() { return shards_->shard(0); }
  const std::filesystem::path& root() const { return root_; }
  const std::optional<BlockDevice>& device() const { return device_; }
  Engine& engine() { return *engine_; }

  // Runs a task to its end, once; the engine is started before and stopped after it.
  // Errors: the engine's, at its start; the task's.
  Result<void> run(std::function<Task<Result<void>>()> task);

 private:
  World() = default;

  BenchOptions options_;
  std::filesystem::path root_;
  std::optional<BlockDevice> device_;
  std::unique_ptr<runtime::RealShards> shards_;
  std::unique_ptr<Engine> engine_;
};

// The facts of the machine that no flag sets, for every line.
Json machine_facts(const std::filesystem::path& directory);

}  // namespace qlab::storage::bench
