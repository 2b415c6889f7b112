#include "wire/kafka/find_coordinator.h"

#include "broker/handlers/handlers.h"

namespace qlab::broker {

// This broker coordinates neither groups nor transactions. A client that only assigns partitions
// asks all the same, and goes on without.
Task<Result<Bytes>> handle_find_coordinator(Services&, Request request) {
  CO_TRY(const auto message, decode_body<wire::FindCoordinatorRequest>(request));
  const bool is_group = message.key_type == 0;
  const auto error = is_group ? wire::KafkaError::coordinator_not_available
                              : wire::KafkaError::transactional_id_authorization_failed;
  const std::string words = is_group ? "this cluster does not coordinate consumer groups"
                                     : "this cluster does not coordinate transactions";
  wire::FindCoordinatorResponse response;
  if (request.header.api_version < 4) {
    response.error_code = error;
    response.error_message = words;
    response.node_id = no_node;
    response.port = -1;
    co_return encode_answer(request, response);
  }
  for (const std::string& key : message.coordinator_keys) {
    response.coordinators.push_back({key, no_node, "", -1, error, words});
  }
  co_return encode_answer(request, response);
}

}  // namespace qlab::broker
