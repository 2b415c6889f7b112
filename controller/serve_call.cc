#include "controller/serve_call.h"

#include "controller/calls.h"

namespace qlab::controller {

Task<Result<Bytes>> serve_call(Controller& local, std::int16_t api_key, Bytes body, Time deadline) {
  switch (api_key) {
    case broker_registration_key: {
      CO_TRY(Registration registration, decode_registration(body));
      CO_TRY(const BrokerEpoch epoch,
             co_await local.register_broker(std::move(registration), deadline));
      co_return encode_broker_epoch(epoch);
    }
    case broker_heartbeat_key: {
      CO_TRY(const Heartbeat heartbeat, decode_heartbeat(body));
      CO_TRY(const HeartbeatReply reply, co_await local.heartbeat(heartbeat, deadline));
      co_return encode_heartbeat_reply(reply);
    }
    case create_topics_key: {
      CO_TRY(TopicCreation creation, decode_creation(body));
      CO_TRY(const auto outcomes, co_await local.create_topics(std::move(creation.topics),
                                                               creation.validate_only, deadline));
      co_return encode_created(outcomes);
    }
    case delete_topics_key: {
      CO_TRY(auto names, decode_deletion(body));
      CO_TRY(const auto outcomes, co_await local.delete_topics(std::move(names), deadline));
      co_return encode_deleted(outcomes);
    }
    case alter_partition_key: {
      CO_TRY(AlterPartition request, decode_alteration(body));
      CO_TRY(const auto outcomes, co_await local.alter_partition(std::move(request), deadline));
      co_return encode_altered(outcomes);
    }
    case allocate_producer_ids_key: {
      CO_TRY(const ProducerIdRequest request, decode_id_request(body));
      CO_TRY(const ProducerIdBlock block,
             co_await local.allocate_producer_ids(request.broker, request.epoch, deadline));
      co_return encode_id_block(block);
    }
    default:
      co_return co_await local.administer(wire::ApiKey{api_key}, std::move(body), deadline);
  }
}

}  // namespace qlab::controller
