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
        wake(r) {}

  runtime::Runtime& runtime;
  const Duration retry_backoff;
  const Duration request_timeout;
  const Send send;
  const NodeId broker;
  const BrokerEpoch epoch;
  BrokerChannels* channels;          // Null once it is closed.
  std::deque<ControlRequest> queue;  // The first is on its way.
  bool is_overrun = false;
  runtime::Event wake;
};

BrokerChannels::BrokerChannels(runtime::Runtime& runtime, const ZkOptions& options, Send send,
                               runtime::Gate& gate)
    : runtime_(runtime),
      options_(options),
      send_(std::move(send)),
      gate_(gate),
      answered_(std::make_shared<runtime::Event>(runtime)) {}

void BrokerChannels::add(NodeId broker, BrokerEpoch epoch) {
  remove(broker);
  if (is_closed_) return;
  auto channel = std::make_shared<Channel>(runtime_, options_, send_, broker, epoch, *this);
  channels_[broker] = channel;
  gate_.start([channel] { return run(channel); });
}

void BrokerChannels::when_drained(std::function<void()> call) {
  drained_ = std::move(call);
  note_answered(0);
}

Task<void> BrokerChannels::until_drained(Time due) {
  const std::shared_ptr<runtime::Event> answered = answered_;
  while (unanswered_ > 0 && runtime_.now() < due) co_await answered->wait_until(due);
}

void BrokerChannels::note_answered(std::size_t count) {
  unanswered_ -= count;
  if (unanswered_ > 0) return;
  answered_->notify_all();
  if (const auto call = std::exchange(drained_, nullptr)) call();
}

void BrokerChannels::remove(NodeId broker) {
  const auto at = channels_.find(broker);
  if (at == channels_.end()) return;
  Channel& channel = *at->second;
  const std::size_t dropped = std::exchange(channel.queue, {}).size();
  channel.channels = nullptr;
  channel.wake.notify_all();
  channels_.erase(at);
  note_answered(dropped);
}

void BrokerChannels::close() {
  is_closed_ = true;
  drained_ = nullptr;
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
  ++unanswered_;
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
    channel->channels->note_answered(1);
    if (request.on_response) request.on_response(*response);
  }
}

}  // namespace qlab::controller
