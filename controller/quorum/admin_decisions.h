#pragma once
// What the quorum controller decides on calls of administration: pure, as decisions.h.
//
// Requests and answers are the protocol's own messages. Every partition, topic and resource has an
// outcome of its own; a request that would make more than records_per_request_max records gets
// policy_violation for what is beyond.

#include "controller/quorum/decisions.h"
#include "wire/kafka/alter_configs.h"
#include "wire/kafka/alter_partition_reassignments.h"
#include "wire/kafka/create_partitions.h"
#include "wire/kafka/elect_leaders.h"
#include "wire/kafka/incremental_alter_configs.h"
#include "wire/kafka/list_partition_reassignments.h"

namespace qlab::controller {

// Preferred or unclean elections (KIP-460). Of a request for all partitions it decides up to
// records_per_entry, and answers with those alone: the caller asks again until it decides none.
Decision<wire::ElectLeadersResponse> decide_elections(const metadata::Image& image,
                                                      const wire::ElectLeadersRequest& request,
                                                      const ControllerOptions& options);

Decision<wire::AlterPartitionReassignmentsResponse> decide_reassignments(
    const metadata::Image& image, const wire::AlterPartitionReassignmentsRequest& request,
    const ControllerOptions& options);
wire::ListPartitionReassignmentsResponse list_reassignments(
    const metadata::Image& image, const wire::ListPartitionReassignmentsRequest& request);

// A topic grows in one piece as long as the new partitions fit an entry, else entry by entry.
Decision<wire::CreatePartitionsResponse> decide_growth(const metadata::Image& image,
                                                       const wire::CreatePartitionsRequest& request,
                                                       Prng& random);

// Changes of configs of topics and brokers. A min.insync.replicas that changes empties the ELRs
// that it concerns: they were made under another bound.
Decision<wire::AlterConfigsResponse> decide_configs(const metadata::Image& image,
                                                    const wire::AlterConfigsRequest& request);
Decision<wire::IncrementalAlterConfigsResponse> decide_configs(
    const metadata::Image& image, const wire::IncrementalAlterConfigsRequest& request);

}  // namespace qlab::controller
