#include "controller/zk/broker_channels.h"

#include "common/logging.h"

namespace qlab::controller {

struct BrokerChannels::Channel {
  Channel(runtime::Runtime& r, const ZkOptions& options, Send s, NodeId id, BrokerEpoch of_broker,
          BrokerChannels& owner)
      : runtime(r),
        retry_backoff(options.retry_backoff),
        request_timeout(options.request_timeout),
        send(std::move(s)),
        broker(id),
        epoch(of_broker),
        channels(&owner),
        unanswered(owner.unanswered_),
        wake(r) {}

  runtime::Runtime& runtime;
  const Duration retry_backoff;
  const Duration request_timeout;
  const Send send;
  const NodeId broker;
  const BrokerEpoch epoch;
  BrokerChannels* channels;  // Null once it is closed.
  const std::shared_ptr<std::size_t> unanswered;
  std::deque<ControlRequest> queue;  // The first is on its way.
  bool is_overrun = false;
  runtime::Event wake;
};

BrokerChannels::BrokerChannels(runtime::Runtime& runtime, const ZkOptions& options, Send send,
                               runtime::Gate& gate)
    : runtime_(runtime), options_(options), send_(std::move(send)), gate_(gate) {}

void BrokerChannels::add(NodeId broker, BrokerEpoch epoch) {
  remove(broker);
  if (gate_.is_closed()) return;
  auto channel = std::make_shared<Channel>(runtime_, options_, send_, broker, epoch, *this);
  channels_[broker] = channel;
  gate_.start([channel] { return run(channel); });
}

void BrokerChannels::drop(Channel& channel) {
  *unanswered_ -= channel.queue.size();
  channel.queue.clear();
}

void BrokerChannels::remove(NodeId broker) {
  const auto at = channels_.find(broker);
  if (at == channels_.end()) return;
  drop(*at->second);
  at->second->channels = nullptr;
  at->second->wake.notify_all();
  channels_.erase(at);
  if (*unanswered_ == 0 && on_drained) on_drained();
}

void BrokerChannels::close() {
  on_drained = nullptr;
  while (!channels_.empty()) remove(channels_.begin()->first);
}

void BrokerChannels::push(NodeId broker, ControlRequest request) {
  Channel& channel = *channels_.at(broker);
  if (channel.is_overrun) return;
  if (channel.queue.size() >= queue_requests_max) {
    log(LogLevel::error, "controller",
        "broker {} has {} requests waiting; it hears no more until it registers anew", broker,
        channel.queue.size());
    channel.is_overrun = true;
    return;
  }
  channel.queue.push_back(std::move(request));
  ++*unanswered_;
  channel.wake.notify_all();
}

Task<void> BrokerChannels::run(std::shared_ptr<Channel> channel) {
  while (channel->channels != nullptr) {
    if (channel->queue.empty()) {
      co_await channel->wake.wait();
      continue;
    }
    const ControlRequest request = channel->queue.front();
    Bytes body = *request.body;
    store_big(body.data() + broker_epoch_at, channel->epoch.value());
    const Time deadline = channel->runtime.now() + channel->request_timeout;
    const auto response =
        co_await channel->send(channel->broker, request.api, std::move(body), deadline);
    if (channel->channels == nullptr) co_return;
    if (!response) {
      co_await channel->wake.wait_until(channel->runtime.now() + channel->retry_backoff);
      continue;
    }
    channel->queue.pop_front();
    --*channel->unanswered;
    if (request.on_response) request.on_response(*response);
    if (channel->channels != nullptr && *channel->unanswered == 0 &&
        channel->channels->on_drained) {
      channel->channels->on_drained();
    }
  }
}

}  // namespace qlab::controller
