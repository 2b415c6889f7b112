#pragma once
// Many logs of the layout per_partition in one simulated world, for its tests.

#include "runtime/async.h"
#include "storage/log_fixture.h"
#include "storage/per_partition_layout.h"

namespace qlab::storage {

using runtime::DiskAccess;
using runtime::DiskFault;
using runtime::DiskOperation;

// A layout on the simulated disk through several lives of its process.
class Logs {
 public:
  explicit Logs(LayoutOptions options = {}, std::string_view engine = "buffered")
      : layout_options_(options), engine_(engine) {
    log_options.segment_bytes = 1000;
    log_options.index_interval_bytes = 200;
    boot();
  }

  static std::string name_of(int partition) { return fmt::format("t-{}", partition); }
  void start() {
    must(await(world, [&] { return process_->layout->start(); }));
  }
  Result<void> try_open(int partition, std::uint64_t topic = 1) {
    const LogName name{name_of(partition), TopicId{0, topic}};
    auto opened = await(world, [&] { return process_->layout->open(name, log_options); });
    if (!opened) return fail(opened.error());
    process_->logs[partition] = std::move(*opened);
    return {};
  }
  void open(int count) {
    for (int i = 0; i < count; ++i) must(try_open(i));
  }
  void append(int partition, int records = 2, std::int64_t timestamp = 1000) {
    must(try_append(partition, records, timestamp));
  }
  Result<AppendResult> try_append(int partition, int records = 2, std::int64_t timestamp = 1000) {
    return await(world, [&] {
      return log(partition).append_as_leader(make_batch(records, timestamp), LeaderEpoch{0});
    });
  }
  Result<Offset> sync(int partition) {
    return await(world, [&] { return log(partition).sync(); });
  }
  Result<ReadResult> read(int partition, std::int64_t from) {
    return await(world,
                 [&] { return log(partition).read(Offset{from}, Offset{1'000'000}, 1u << 20); });
  }
  void stop() {
    for (auto& [partition, log] : process_->logs) must(await(world, [&] { return log->close(); }));
    process_->logs.clear();
    must(await(world, [&] { return process_->layout->stop(); }));
  }
  void kill() {
    world.kill();
    boot();
  }
  void cut_power() {
    world.world().crash(SimulatedTestWorld::node, {.lose_unsynced = true, .silent = false});
    boot();
  }
  // Another process that finds what a clean stop left.
  void restart() {
    stop();
    kill();
    start();
  }
  void pass(Duration time) {
    world.run([&] { return runtime::sleep_for(world.runtime(), time); });
  }

  // Counts operations from here on.
  void count() {
    accesses_.clear();
    world.set_fault_hook([this](const DiskAccess& access) {
      accesses_.emplace_back(access.operation, std::string(access.path));
      return DiskFault{};
    });
  }
  std::size_t counted(DiskOperation operation, std::string_view part = "") const {
    return static_cast<std::size_t>(std::ranges::count_if(accesses_, [&](const auto& access) {
      return access.first == operation && access.second.find(part) != std::string::npos;
    }));
  }
  std::size_t counted_in_partitions() const {
    return static_cast<std::size_t>(
        std::ranges::count_if(accesses_, [](const auto& a) { return a.second.starts_with("t-"); }));
  }

  Log& log(int partition) { return *process_->logs.at(partition); }
  Layout& layout() { return *process_->layout; }
  void set_layout_options(LayoutOptions options) { layout_options_ = options; }

  SimulatedTestWorld world;
  LogOptions log_options;

 private:
  struct Process {
    std::unique_ptr<Engine> engine;
    std::unique_ptr<Layout> layout;
    std::map<int, std::unique_ptr<Log>> logs;
  };
  void boot() {
    world.boot([this] {
      auto process = std::make_shared<Process>();
      process->engine = must(make_engine(engine_, world.runtime()));
      process->layout =
          must(make_layout("per_partition", world.runtime(), *process->engine, layout_options_));
      process_ = process.get();
      return process;
    });
  }

  LayoutOptions layout_options_;
  const std::string engine_;
  Process* process_ = nullptr;
  std::vector<std::pair<DiskOperation, std::string>> accesses_;
};

}  // namespace qlab::storage
