#include "controller/placement.h"

namespace qlab::controller {

Result<void> check_placement(const PlacementRequest& request) {
  const std::size_t brokers = request.brokers.size();
  if (request.replication_factor < 1 ||
      static_cast<std::size_t>(request.replication_factor) > brokers) {
    return fail(Errc::invalid,
                "replication factor {} is not in [1, {}], the number of brokers that are up",
                request.replication_factor, brokers);
  }
  if (request.partitions < 1) {
    return fail(Errc::invalid, "number of partitions {} is less than 1", request.partitions);
  }
  return {};
}

std::vector<NodeId> place_partition(const PlacementRequest& request, std::uint64_t partition) {
  const std::size_t brokers = request.brokers.size();
  const auto factor = static_cast<std::size_t>(request.replication_factor);
  const std::uint64_t first = (request.start + partition) % brokers;
  std::vector<NodeId> replicas{request.brokers[first]};
  // Followers are taken from the brokers after the first, rotated once more each round.
  for (std::uint64_t r = 0; r + 1 < factor; ++r) {
    const std::uint64_t shift = 1 + (partition / brokers + r) % (brokers - 1);
    replicas.push_back(request.brokers[(first + shift) % brokers]);
  }
  return replicas;
}

Result<std::vector<std::vector<NodeId>>> place(const PlacementRequest& request) {
  TRY_VOID(check_placement(request));
  std::vector<std::vector<NodeId>> assignment;
  assignment.reserve(static_cast<std::size_t>(request.partitions));
  for (std::uint64_t p = 0; p < static_cast<std::uint64_t>(request.partitions); ++p) {
    assignment.push_back(place_partition(request, p));
  }
  return assignment;
}

}  // namespace qlab::controller
