#include "wire/kafka/describe_cluster.h"

#include "broker/handlers/handlers.h"

namespace qlab::broker {

Task<Result<Bytes>> handle_describe_cluster(Services& services, Request request) {
  constexpr std::int8_t brokers = 1;
  CO_TRY(const auto message, decode_body<wire::DescribeClusterRequest>(request));
  wire::DescribeClusterResponse response;
  response.cluster_id = services.config.cluster_id;
  if (message.endpoint_type != brokers) {
    response.endpoint_type = message.endpoint_type;
    response.error_code = wire::KafkaError::invalid_request;
    response.error_message = fmt::format("endpoint type {} is not served; 1 (brokers) is",
                                         static_cast<int>(message.endpoint_type));
    co_return encode_answer(request, response);
  }
  response.controller_id = controller_for_clients(services);
  for (const auto& [id, broker] : services.cluster.image()->brokers()) {
    if (!broker.is_active()) continue;
    response.brokers.push_back({id, broker.host, broker.port, rack_of(broker)});
  }
  co_return encode_answer(request, response);
}

}  // namespace qlab::broker
