#include "runtime/real/real_runtime.h"

#include <csignal>
#include <exception>
#include <random>
#include <thread>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/basic_signal_set.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <fmt/ranges.h>
#include <pthread.h>
#include <sched.h>

#include "common/check.h"
#include "common/logging.h"
#include "runtime/real/real_shard.h"
#include "runtime/real/trace_file.h"
#include "runtime/real/transports.h"

namespace qlab::runtime {
namespace {

constexpr std::size_t shards_max = 64;

std::uint64_t draw_seed() {
  std::random_device device;
  return (std::uint64_t{device()} << 32) | device();
}

// Keeps the calling thread on one CPU and puts it back where it was.
class Pinned {
 public:
  explicit Pinned(std::optional<int> cpu) {
    CHECK(::pthread_getaffinity_np(::pthread_self(), sizeof before_, &before_) == 0);
    if (!cpu.has_value()) return;
    cpu_set_t only;
    CPU_ZERO(&only);
    CPU_SET(static_cast<std::size_t>(*cpu), &only);
    const int error = ::pthread_setaffinity_np(::pthread_self(), sizeof only, &only);
    if (error != 0) log(LogLevel::warn, "runtime", "CPU {} is not ours; not pinned to it", *cpu);
  }
  ~Pinned() { (void)::pthread_setaffinity_np(::pthread_self(), sizeof before_, &before_); }
  Pinned(const Pinned&) = delete;
  Pinned& operator=(const Pinned&) = delete;

 private:
  cpu_set_t before_{};
};

}  // namespace

using SignalSet = boost::asio::basic_signal_set<Executor>;

struct RealShards::Parts {
  RealOptions options;
  std::unique_ptr<TraceSink> trace;
  std::vector<std::unique_ptr<RealShard>> shards;
  std::optional<SignalSet> signals;  // From the first wait on.
  std::thread aside;                 // Of run_aside().
};

Result<void> RealOptions::validate() const {
  if (shards < 1 || shards > shards_max) {
    return fail(Errc::invalid, "shards={} is not in [1, {}]", shards, shards_max);
  }
  for (const int cpu : cpus) {
    if (cpu < 0 || cpu >= CPU_SETSIZE) {
      return fail(Errc::invalid, "cpus holds {}, which is not in [0, {})", cpu, CPU_SETSIZE);
    }
  }
  if (!is_transport(transport)) {
    return fail(Errc::invalid, "transport={} is unknown; allowed are {}", transport,
                fmt::join(transport_names, ", "));
  }
  if (root.empty()) return fail(Errc::invalid, "root is empty; it names the data directory");
  return {};
}

Result<std::unique_ptr<RealShards>> RealShards::create(RealOptions options) {
  TRY_VOID(options.validate());
  std::error_code error;
  std::filesystem::create_directories(options.root, error);
  if (error) {
    return fail(errno_error(error.value(), fmt::format("make {}", options.root.string())));
  }
  auto parts = std::make_unique<Parts>();
  if (options.trace_file.empty()) {
    parts->trace = std::make_unique<NullTrace>();
  } else {
    TRY(parts->trace, TraceFile::open(options.trace_file, options.node));
  }
  (void)std::signal(SIGPIPE, SIG_IGN);
  Prng random(options.seed.has_value() ? *options.seed : draw_seed());
  for (std::size_t i = 0; i < options.shards; ++i) {
    parts->shards.push_back(
        std::make_unique<RealShard>(options.root, *parts->trace, random.fork()));
    if (i == 0) parts->shards[i]->add_transport(options.transport);
  }
  parts->options = std::move(options);
  return std::unique_ptr<RealShards>(new RealShards(std::move(parts)));
}

RealShards::RealShards(std::unique_ptr<Parts> parts) : parts_(std::move(parts)) {}

RealShards::~RealShards() = default;

std::size_t RealShards::count() const {
  return parts_->shards.size();
}

Runtime& RealShards::shard(std::size_t index) {
  CHECK(index < count());
  return *parts_->shards[index];
}

void RealShards::run_shard(std::size_t index) {
  const std::vector<int>& cpus = parts_->options.cpus;
  std::optional<int> cpu;
  if (!cpus.empty()) cpu = cpus[index % cpus.size()];
  const Pinned pinned(cpu);
  parts_->shards[index]->serve();
}

void RealShards::run(std::function<Task<void>()> main_task) {
  for (const auto& shard : parts_->shards) shard->make_ready();
  std::exception_ptr failure;
  boost::asio::co_spawn(shard(0).executor(), std::move(main_task),
                        [this, &failure](std::exception_ptr thrown) {
                          failure = thrown;
                          for (const auto& shard : parts_->shards) shard->stop();
                        });
  std::vector<std::thread> threads;
  for (std::size_t i = 1; i < count(); ++i) {
    threads.emplace_back([this, i] { run_shard(i); });
  }
  run_shard(0);
  for (std::thread& thread : threads) thread.join();
  if (failure) std::rethrow_exception(failure);
}

void RealShards::run_aside(std::function<Task<void>()> main_task, std::function<void()> after) {
  CHECK(!parts_->aside.joinable());
  parts_->aside = std::thread([this, task = std::move(main_task), after = std::move(after)] {
    run(task);
    after();
  });
}

void RealShards::join() {
  parts_->aside.join();
}

Task<Result<int>> RealShards::wait_for_signal() {
  if (!parts_->signals.has_value()) {
    parts_->signals.emplace(shard(0).executor(), SIGTERM, SIGINT);
  }
  constexpr boost::asio::as_tuple_t<boost::asio::use_awaitable_t<Executor>> as_awaitable{};
  const auto [error, number] = co_await parts_->signals->async_wait(as_awaitable);
  if (error) co_return fail(Errc::closed, "signals are not waited for any more");
  co_return number;
}

void RealShards::end_signal_wait() {
  if (parts_->signals.has_value()) parts_->signals->cancel();
}

Task<void> RealShards::cut_off() {
  for (const auto& shard : parts_->shards) {
    auto cut = [&network = shard->real_network()]() -> Task<void> {
      network.cut_off();
      co_return;
    };
    co_await run_on(*shard, cut);
  }
  co_await shard(0).transport().stop();
}

void RealShards::abandon() {
  for (const auto& shard : parts_->shards) shard->abandon();
}

void RealShards::set_fault_hook(std::size_t shard, FaultHook hook) {
  CHECK(shard < count());
  parts_->shards[shard]->real_disk().set_fault_hook(std::move(hook));
}

}  // namespace qlab::runtime
