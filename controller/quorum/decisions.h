#pragma once
// What the quorum controller decides: functions from an image and a request to records and an
// answer.
//
// Deciding changes nothing. The records, once replayed, are the only thing that does (KIP-631).

#include <vector>

#include "common/prng.h"
#include "controller/controller.h"
#include "controller/options.h"
#include "metadata/image.h"

namespace qlab::controller {

template <class Answer>
struct Decision {
  metadata::Records records;  // Committed as one, or not at all. Empty: nothing changes.
  Answer answer;
};

// A new incarnation gets a new epoch and starts fenced; if its predecessor was not yet fenced, that
// happens first, since what a restarted process still has of its logs is not known. The same
// incarnation gets the epoch that it has.
Decision<BrokerEpoch> decide_registration(const metadata::Image& image,
                                          const Registration& registration);

// Fences a broker and takes it out of every ISR and leadership it can be taken out of.
// Requires: the broker is registered.
metadata::Records decide_fence(const metadata::Image& image, NodeId broker);

// Unfences a broker and gives partitions without a leader one, where it can lead.
// Requires: the broker is registered.
metadata::Records decide_unfence(const metadata::Image& image, NodeId broker);

// Marks a broker as shutting down and moves its leaderships away (KIP-841). Requires: the broker is
// registered.
metadata::Records decide_shutdown(const metadata::Image& image, NodeId broker);

// Every topic has an outcome of its own; those without an error are in the records.
Decision<std::vector<TopicOutcome>> decide_topics(const metadata::Image& image,
                                                  const std::vector<NewTopic>& topics,
                                                  const ControllerOptions& options, Prng& random);
Decision<std::vector<TopicOutcome>> decide_removal(const metadata::Image& image,
                                                   const std::vector<std::string>& names);

// Compare and swap of ISRs by their leaders (KIP-497, KIP-841).
Decision<std::vector<AlterationOutcome>> decide_alterations(const metadata::Image& image,
                                                            const AlterPartition& request);

Decision<ProducerIdBlock> decide_producer_ids(const metadata::Image& image);

// True when no partition is led by `broker`. Cost: looks at every partition.
bool leads_nothing(const metadata::Image& image, NodeId broker);

}  // namespace qlab::controller
