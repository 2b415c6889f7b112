// A client of ZooKeeper: setData through its C library, many requests under way on one session.

#include <chrono>
#include <condition_variable>
#include <mutex>

#include <zookeeper/zookeeper.h>

#include "experiments/consensus_load/client.h"

namespace qlab::experiments {
namespace {

constexpr std::chrono::seconds connect_patience{20};
constexpr int session_ms = 30'000;  // The server takes the longest it allows.
constexpr std::uint64_t keys = 64;  // Few, as the register is: what is measured is agreement.

std::string node_of(std::uint64_t number) {
  return "/qlab-" + std::to_string(number % keys);
}

class ZookeeperClient final : public WriteClient {
 public:
  ZookeeperClient(std::string endpoint, Bytes value)
      : endpoint_(std::move(endpoint)), value_(std::move(value)) {}
  ~ZookeeperClient() override { stop(); }

  Result<void> start(Done done) override {
    done_ = std::move(done);
    zoo_set_debug_level(ZOO_LOG_LEVEL_ERROR);
    handle_ = zookeeper_init(endpoint_.c_str(), on_event, session_ms, nullptr, this, 0);
    if (handle_ == nullptr) return fail(Errc::io, "zookeeper_init({})", endpoint_);
    {
      std::unique_lock lock(mutex_);
      const bool up = changed_.wait_for(lock, connect_patience, [this] { return connected_; });
      if (!up) return fail(Errc::timed_out, "no session with {}", endpoint_);
    }
    for (std::uint64_t i = 0; i < keys; ++i) {
      const int made =
          zoo_create(handle_, node_of(i).c_str(), "", 0, &ZOO_OPEN_ACL_UNSAFE, 0, nullptr, 0);
      if (made != ZOK && made != ZNODEEXISTS) {
        return fail(Errc::io, "create {}: {}", node_of(i), zerror(made));
      }
    }
    return {};
  }

  void send(std::uint64_t number) override {
    int sent = ZOK;
    {
      const std::lock_guard lock(mutex_);
      store_big(value_.data(), number);
      sent =
          zoo_aset(handle_, node_of(number).c_str(), reinterpret_cast<const char*>(value_.data()),
                   static_cast<int>(value_.size()), -1, on_set, new Write{this, number});
    }
    if (sent != ZOK) done_(number, WriteOutcome::fail, zerror(sent));
  }

  void stop() override {
    if (handle_ != nullptr) zookeeper_close(std::exchange(handle_, nullptr));
  }

 private:
  struct Write {
    ZookeeperClient* client;
    std::uint64_t number;
  };

  static void on_event(zhandle_t*, int type, int state, const char*, void* context) {
    if (type != ZOO_SESSION_EVENT || state != ZOO_CONNECTED_STATE) return;
    auto* const self = static_cast<ZookeeperClient*>(context);
    const std::lock_guard lock(self->mutex_);
    self->connected_ = true;
    self->changed_.notify_all();
  }

  static void on_set(int result, const Stat*, const void* data) {
    const std::unique_ptr<const Write> write(static_cast<const Write*>(data));
    const WriteOutcome outcome = result == ZOK ? WriteOutcome::ok : WriteOutcome::info;
    write->client->done_(write->number, outcome, result == ZOK ? "" : zerror(result));
  }

  const std::string endpoint_;
  Done done_;
  zhandle_t* handle_ = nullptr;
  std::mutex mutex_;  // Guards all below.
  std::condition_variable changed_;
  Bytes value_;
  bool connected_ = false;
};

}  // namespace

Result<std::unique_ptr<WriteClient>> make_zookeeper_client(std::string endpoint, Bytes value) {
  return std::make_unique<ZookeeperClient>(std::move(endpoint), std::move(value));
}

}  // namespace qlab::experiments
