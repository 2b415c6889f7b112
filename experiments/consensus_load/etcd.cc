// A client of etcd: KV.Put over gRPC, many calls under way on one connection.

#include <chrono>
#include <mutex>
#include <set>
#include <thread>

#include <grpcpp/create_channel.h>
#include <grpcpp/security/credentials.h>

#include "etcd.grpc.pb.h"
#include "experiments/consensus_load/client.h"

namespace qlab::experiments {
namespace {

constexpr std::chrono::seconds connect_patience{10};
constexpr std::uint64_t keys = 64;  // Few, as the register is: what is measured is agreement.

class EtcdClient final : public WriteClient {
 public:
  EtcdClient(const std::string& endpoint, Bytes value) : value_(std::move(value)) {
    grpc::ChannelArguments arguments;
    arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
    arguments.SetInt(GRPC_ARG_ENABLE_HTTP_PROXY, 0);
    arguments.SetInt(GRPC_ARG_INITIAL_RECONNECT_BACKOFF_MS, 20);
    arguments.SetInt(GRPC_ARG_MIN_RECONNECT_BACKOFF_MS, 20);
    arguments.SetInt(GRPC_ARG_MAX_RECONNECT_BACKOFF_MS, 20);
    channel_ = grpc::CreateCustomChannel(endpoint, grpc::InsecureChannelCredentials(), arguments);
    stub_ = etcdserverpb::KV::NewStub(channel_);
  }
  ~EtcdClient() override { stop(); }

  Result<void> start(Done done) override {
    done_ = std::move(done);
    if (!channel_->WaitForConnected(std::chrono::system_clock::now() + connect_patience)) {
      return fail(Errc::timed_out, "nobody listens");
    }
    thread_ = std::thread([this] { run(); });
    return {};
  }

  void send(std::uint64_t number) override {
    const std::lock_guard lock(mutex_);
    if (stopping_) return;
    auto call = std::make_unique<Call>();
    call->number = number;
    store_big(value_.data(), number);
    call->request.set_key("qlab-" + std::to_string(number % keys));
    call->request.set_value(value_.data(), value_.size());
    call->reader = stub_->AsyncPut(&call->context, call->request, &queue_);
    Call* const kept = call.release();  // Comes back out of the queue.
    open_.insert(kept);
    kept->reader->Finish(&kept->reply, &kept->status, kept);
  }

  void stop() override {
    if (!thread_.joinable()) return;
    {
      const std::lock_guard lock(mutex_);
      stopping_ = true;
      // A server that is frozen would never answer.
      for (Call* call : open_) call->context.TryCancel();
      queue_.Shutdown();
    }
    thread_.join();
  }

 private:
  struct Call {
    std::uint64_t number = 0;
    grpc::ClientContext context;
    etcdserverpb::PutRequest request;
    etcdserverpb::PutResponse reply;
    grpc::Status status;
    std::unique_ptr<grpc::ClientAsyncResponseReader<etcdserverpb::PutResponse>> reader;
  };

  void run() {
    void* tag = nullptr;
    bool ok = false;
    while (queue_.Next(&tag, &ok)) {
      const std::unique_ptr<Call> call(static_cast<Call*>(tag));
      {
        const std::lock_guard lock(mutex_);
        open_.erase(call.get());
      }
      const WriteOutcome outcome = call->status.ok() ? WriteOutcome::ok : WriteOutcome::info;
      done_(call->number, outcome, call->status.error_message());
    }
  }

  std::shared_ptr<grpc::Channel> channel_;
  std::unique_ptr<etcdserverpb::KV::Stub> stub_;
  grpc::CompletionQueue queue_;
  Done done_;
  std::thread thread_;
  std::mutex mutex_;  // Guards all below.
  Bytes value_;
  bool stopping_ = false;
  std::set<Call*> open_;
};

}  // namespace

Result<std::unique_ptr<WriteClient>> make_etcd_client(std::string endpoint, Bytes value) {
  return std::make_unique<EtcdClient>(endpoint, std::move(value));
}

}  // namespace qlab::experiments
