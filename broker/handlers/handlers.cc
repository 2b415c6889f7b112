#include "broker/handlers/handlers.h"

#include <algorithm>

namespace qlab::broker {

Time client_deadline(const Services& services, std::int32_t timeout_ms) {
  constexpr std::int32_t timeout_ms_max = 300'000;
  return services.runtime.now() +
         std::chrono::milliseconds(std::clamp<std::int32_t>(timeout_ms, 0, timeout_ms_max));
}

Result<PartitionKey> find_partition(const Services& services, const std::string& topic,
                                    PartitionIndex partition) {
  const metadata::TopicPtr found = services.cluster.image()->topic(topic);
  if (found == nullptr || partition.value() < 0 ||
      static_cast<std::size_t>(partition.value()) >= found->partitions.size()) {
    return fail(Errc::not_found, "there is no {}-{}", topic, partition);
  }
  return PartitionKey{topic, found->id, partition};
}

std::optional<std::string> rack_of(const metadata::Broker& broker) {
  if (broker.rack.empty()) return std::nullopt;
  return broker.rack;
}

NodeId controller_for_clients(const Services& services) {
  const std::optional<NodeId> active = services.controller.active();
  return active && services.cluster.image()->is_active(*active) ? *active : services.config.node;
}

wire::KafkaError controller_error(Errc code) {
  // The call may have been carried out, unless it was refused before anything was decided.
  return code == Errc::not_leader || code == Errc::fenced ? wire::KafkaError::not_controller
                                                          : wire::KafkaError::request_timed_out;
}

}  // namespace qlab::broker
