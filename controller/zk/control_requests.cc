#include "controller/zk/control_requests.h"

#include "controller/administer.h"

namespace qlab::controller {

Task<Result<Bytes>> ControlRequests::take(std::int16_t api_key, Bytes body) {
  const std::uint64_t turn = turns_given_++;
  while (turn != turns_over_) co_await turn_over_.wait();
  Result<Bytes> answer = co_await prepare_and_handle(api_key, std::move(body));
  ++turns_over_;
  turn_over_.notify_all();
  co_return answer;
}

Task<Result<Bytes>> ControlRequests::prepare_and_handle(std::int16_t api_key, Bytes body) {
  if (wire::ApiKey{api_key} == wire::ApiKey::leader_and_isr) {
    CO_TRY(auto request, decode_newest<wire::LeaderAndIsrRequest>(body));
    co_await prepare_(std::move(request.topic_states));
  }
  co_return cache_.handle(api_key, body);
}

}  // namespace qlab::controller
