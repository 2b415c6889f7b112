#pragma once
// What must hold in every simulated cluster, whatever fails: small functions from a history to what
// is wrong with it, which is nothing. Each judges what is fresh, so that all run after every event.

#include <span>
#include <string_view>

#include "sim/cluster_history.h"
#include "sim/invariants.h"

namespace qlab::sim {

// In one life of a node its image's offset only grows, and so do every partition's leader epoch and
// partition epoch; a partition that changes gets another partition epoch.
Finding metadata_never_goes_back(const ClusterHistory& history);
// Images at the same offset say the same, on controllers and brokers alike, whether they were
// replayed or came as a snapshot. Only where they share a log.
Finding images_are_equal_at_equal_offsets(const ClusterHistory& history);
// A topic, by its id, that was gone from an image is in no later one: of that node, and of any
// where they share a log.
Finding deleted_topics_stay_deleted(const ClusterHistory& history);
// No partition is led by two brokers in one leader epoch: neither as images say, nor as the
// replicas themselves behave. That nobody leads counts where images share a log. Source: KIP-101.
Finding one_partition_leader_per_epoch(const ClusterHistory& history);
// At most one node decides in an epoch of the controller.
Finding one_controller_per_epoch(const ClusterHistory& history);
// Who leads a partition has every record that was acknowledged or that a consumer has seen.
// Promised: records_stay.
Finding leaders_have_what_was_acknowledged(const ClusterHistory& history);
// Below the high watermark an offset has the same record for all consumers, at all times, in the
// logs of all replicas, and as its producer was told. Promised: records_stay.
Finding an_offset_is_one_record(const ClusterHistory& history);
// A record stands at one offset, however often it was sent, and those of an idempotent producer in
// the order in which it made them. Promised: records_stay. Source: KIP-98.
Finding records_stand_once_and_in_order(const ClusterHistory& history);
// The high watermark that consumers are told never goes back within a leader epoch.
Finding watermarks_never_go_back(const ClusterHistory& history);
// A consumer that has read up to an offset is never told that it lies outside the log. Promised:
// records_stay.
Finding what_was_read_stays_in_range(const ClusterHistory& history);
// A node without an injected failure starts and goes on.
Finding nodes_start_and_go_on(const ClusterHistory& history);

struct ClusterInvariant {
  std::string_view name;
  Finding (*check)(const ClusterHistory& history);
};
std::span<const ClusterInvariant> cluster_invariants();

// Checks all of them, then moves what is fresh to what is known. The first finding with its name.
Finding judge(ClusterHistory& history);

}  // namespace qlab::sim
