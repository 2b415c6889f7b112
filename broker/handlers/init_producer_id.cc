#include "wire/kafka/init_producer_id.h"

#include "broker/handlers/handlers.h"

namespace qlab::broker {

// Ids for idempotent producers. A producer that comes back with its id (KIP-360) gets a new one,
// which is what the epoch would be raised for.
Task<Result<Bytes>> handle_init_producer_id(Services& services, Request request) {
  constexpr std::int32_t patience_ms = 10'000;
  CO_TRY(const auto message, decode_body<wire::InitProducerIdRequest>(request));
  wire::InitProducerIdResponse response;
  if (message.transactional_id) {
    response.error_code = wire::KafkaError::transactional_id_authorization_failed;
    co_return encode_answer(request, response);
  }
  const auto id = co_await services.producer_ids.next(client_deadline(services, patience_ms));
  if (id) {
    response.producer_id = *id;
  } else {
    response.error_code = wire::KafkaError::coordinator_load_in_progress;  // All clients try again.
  }
  co_return encode_answer(request, response);
}

}  // namespace qlab::broker
