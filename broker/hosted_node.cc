#include "broker/hosted_node.h"

#include <boost/asio/post.hpp>

namespace qlab::broker {

Result<std::unique_ptr<HostedNode>> HostedNode::start(NodeConfig config, HostedEvents events) {
  runtime::RealOptions options;
  options.root = config.log_dir;
  options.node = config.node;
  options.shards = config.shards;
  options.transport = config.transport;
  std::error_code error;
  std::filesystem::create_directories(options.root, error);
  if (error) return fail(Errc::io, "log.dir={}: {}", config.log_dir, error.message());
  auto lock = runtime::lock_directory(options.root);
  if (!lock) {
    return fail(Errc::exists, "log.dir={}: {}; allowed: a directory that no other process uses",
                config.log_dir, lock.error().context);
  }
  options.trace_file = config.trace_file;  // Not before we know that nobody else writes it.
  TRY(auto shards, runtime::RealShards::create(options));
  std::unique_ptr<HostedNode> node(
      new HostedNode(std::move(config), std::move(events), std::move(*lock), std::move(shards)));
  node->shards_->run_aside([self = node.get()] { return self->live(); },
                           [self = node.get()] { self->finish(); });
  return node;
}

HostedNode::HostedNode(NodeConfig config, HostedEvents events, runtime::DirectoryLock lock,
                       std::unique_ptr<runtime::RealShards> shards)
    : config_(std::move(config)),
      events_(std::move(events)),
      lock_(std::move(lock)),
      shards_(std::move(shards)),
      asked_(std::make_unique<runtime::Event>(shards_->shard(0))) {}

HostedNode::~HostedNode() {
  shards_->join();
}

void HostedNode::end(Ending how) {
  boost::asio::post(shards_->shard(0).executor(), [this, how] { ask(how); });
}

void HostedNode::ask(Ending how) {
  if (!ending_) ending_ = how;
  asked_->notify_all();
}

void HostedNode::finish() {
  if (ending_ == Ending::killed) shards_->abandon();
  node_.reset();
  asked_.reset();
  // The shards stay: who calls end() now posts to a loop that never runs again.
  lock_.reset();
  events_.on_ended(status_, std::move(refusal_));
}

Task<void> HostedNode::live() {
  const LogOrigin origin(fmt::format("[{}]", config_.node));  // Of this thread, until the end.
  NodeEvents events;
  events.on_ready = [this] { events_.on_ready(node_->kafka_endpoint(), node_->peer_endpoint()); };
  events.on_fatal = [this](const Error&) {
    if (ending_ == Ending::killed) return;  // What it meets now is what it was killed by.
    status_ = exit_fatal;
    ask(Ending::controlled);
  };
  node_ = std::make_unique<Node>(*shards_, config_, events);
  auto started = co_await node_->start();
  if (!started && status_ == exit_done) {
    status_ = exit_refused;
    refusal_ = std::move(started.error());
  }
  while (!ending_ && started) co_await asked_->wait();
  if (ending_ == Ending::killed && started) {
    status_ = exit_killed;
    co_await shards_->cut_off();
  } else {
    co_await node_->stop(status_ == exit_done);
  }
}

}  // namespace qlab::broker
