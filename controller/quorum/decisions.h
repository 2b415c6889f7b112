#pragma once
// What the quorum controller decides: functions from an image and a request to records and an
// answer.
//
// Deciding changes nothing. The records, once replayed, are the only thing that does (KIP-631).
// What may take more records than one entry holds is decided piece by piece (partition_walk.h,
// topic_maker.h), each piece on the image of its moment.

#include <vector>

#include "controller/controller.h"
#include "controller/options.h"
#include "controller/quorum/partition_walk.h"
#include "metadata/image.h"

namespace qlab::controller {

template <class Answer>
struct Decision {
  metadata::Records records;  // Committed as one, or not at all. Empty: nothing changes.
  Answer answer;
};
// The beginning of a decision; the rest comes from the walk.
struct LongDecision {
  metadata::Records records;
  PartitionWalk rest;
};

// A new incarnation gets a new epoch and starts fenced; the same one gets the epoch that it has.
// `is_heard_of`: the session of whoever is registered lives.
// Requires: of another incarnation a farewell was decided before, to its end.
// Errors: exists, when a process on another data directory has the id and is heard of: a directory
// has one process at a time, so one on the same directory is a successor.
Result<Decision<BrokerEpoch>> decide_registration(const metadata::Image& image,
                                                  const Registration& registration,
                                                  bool is_heard_of);

// Fences a broker and takes it out of every ISR and leadership it can be taken out of.
// Requires: the broker is registered.
LongDecision decide_fence(const metadata::Image& image, NodeId broker,
                          const ControllerOptions& options);

// The same before another process takes the broker's place, fenced or not: unless it has kept its
// logs, what it still has of them is not known, so it leaves the ELRs as well.
LongDecision decide_farewell(const metadata::Image& image, NodeId broker,
                             const ControllerOptions& options, bool kept_log = false);

// Whether a process still has all that its predecessor had: that one stopped in order, as the
// registration of which the image knows, and on the same data directory (KIP-966).
bool has_kept_log(const metadata::Image& image, const Registration& registration);

// Unfences a broker and gives partitions without a leader one, where it can lead.
// Requires: the broker is registered.
LongDecision decide_unfence(const metadata::Image& image, NodeId broker,
                            const ControllerOptions& options);

// Marks a broker as shutting down and moves its leaderships away (KIP-841). Requires: the broker is
// registered.
LongDecision decide_shutdown(const metadata::Image& image, NodeId broker,
                             const ControllerOptions& options);

// Errors in the outcomes, one per name; invalid_request, for a name that comes more than once.
Decision<std::vector<TopicOutcome>> decide_removal(const metadata::Image& image,
                                                   const std::vector<std::string>& names);

// Removes what no creation will ever complete, for its controller is gone.
metadata::Records decide_cleanup(const metadata::Image& image);

// Compare and swap of ISRs by their leaders (KIP-497, KIP-841, KIP-903).
Decision<std::vector<AlterationOutcome>> decide_alterations(const metadata::Image& image,
                                                            const AlterPartition& request,
                                                            const ControllerOptions& options);

Decision<ProducerIdBlock> decide_producer_ids(const metadata::Image& image);

}  // namespace qlab::controller
