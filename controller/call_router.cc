#include "controller/call_router.h"

namespace qlab::controller {
namespace {

// Calls of others that are being answered at a time; more are dropped and time out at the caller.
constexpr std::size_t calls_served_max = 4096;

}  // namespace

Task<Result<Bytes>> CallRouter::call(NodeId node, std::int16_t api_key, Bytes body, Time deadline) {
  if (stopped_) co_return fail(Errc::closed, "this node is stopping");
  if (node == self_) co_return co_await serve_(api_key, std::move(body));

  const std::uint64_t id = ++last_call_;
  runtime::Completion<Result<Bytes>> completion(runtime_.executor());
  if (!runtime_.transport().send(node, runtime::Channel::controller_call,
                                 encode_call({id, api_key, std::move(body)}))) {
    co_return fail(Errc::not_leader, "node {} cannot be reached", node);
  }
  pending_.emplace(id, Pending{node, completion});
  const runtime::TimerId timer = runtime_.call_at(deadline, [this, id, node, api_key] {
    finish(id, fail(Errc::timed_out, "node {} did not answer call {} in time", node, api_key));
  });
  Result<Bytes> reply = co_await completion.wait();
  runtime_.cancel(timer);
  co_return reply;
}

void CallRouter::finish(std::uint64_t id, Result<Bytes> reply) {
  const auto at = pending_.find(id);
  if (at == pending_.end()) return;
  auto completion = std::move(at->second.reply);
  pending_.erase(at);
  completion.set(std::move(reply));
}

void CallRouter::on_reply(NodeId, Bytes payload) {
  auto reply = decode_reply(payload);
  if (reply) finish(reply->id, std::move(reply->body));
}

void CallRouter::on_link_down(NodeId peer) {
  std::vector<std::uint64_t> broken;
  for (const auto& [id, pending] : pending_) {
    if (pending.to == peer) broken.push_back(id);
  }
  for (std::uint64_t id : broken) {
    finish(id, fail(Errc::unknown_outcome, "the link to node {} broke while a call was on its way",
                    peer));
  }
}

void CallRouter::on_call(NodeId from, Bytes payload) {
  auto call = decode_call(payload);
  if (!call || gate_.is_closed() || gate_.running() >= calls_served_max) return;
  gate_.start([this, from, request = std::move(*call)]() mutable {
    return answer(from, std::move(request));
  });
}

Task<void> CallRouter::answer(NodeId to, Call call) {
  Reply reply;
  reply.id = call.id;
  reply.body = co_await serve_(call.api_key, std::move(call.body));
  runtime_.transport().send(to, runtime::Channel::controller_reply, encode_reply(reply));
}

void CallRouter::end_calls() {
  stopped_ = true;
  while (!pending_.empty()) {
    finish(pending_.begin()->first, fail(Errc::closed, "this node is stopping"));
  }
}

Task<void> CallRouter::stop() {
  end_calls();
  co_await gate_.close();
}

}  // namespace qlab::controller
