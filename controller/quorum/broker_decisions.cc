#include "common/check.h"
#include "controller/election.h"
#include "controller/quorum/decisions.h"

namespace qlab::controller {
namespace {

using metadata::Image;
using metadata::Records;

metadata::PartitionChangeRecord change_of(const metadata::Topic& topic, std::size_t index,
                                          const PartitionPlan& plan) {
  metadata::PartitionChangeRecord record;
  record.topic_id = topic.id;
  record.partition = PartitionIndex{static_cast<std::int32_t>(index)};
  record.isr = plan.isr;
  if (plan.leader) record.leader = *plan.leader;
  return record;
}

// Adds a change for every partition for which `plan_of` has a plan.
template <class PlanOf>
void plan_partitions(const Image& image, Records& records, PlanOf plan_of) {
  image.topics().for_each([&](const std::string&, const metadata::TopicPtr& topic) {
    for (std::size_t p = 0; p < topic->partitions.size(); ++p) {
      const auto plan = plan_of(*topic->partitions[p]);
      if (plan) records.emplace_back(change_of(*topic, p, *plan));
    }
  });
}

void plan_removals(const Image& image, NodeId broker, Records& records) {
  const Eligible eligible = [&](NodeId node) { return node != broker && image.is_active(node); };
  plan_partitions(image, records, [&](const metadata::Partition& partition) {
    return plan_removal(partition, broker, eligible);
  });
}

}  // namespace

Decision<BrokerEpoch> decide_registration(const Image& image, const Registration& registration) {
  const metadata::Broker* known = image.broker(registration.broker);
  if (known != nullptr && known->incarnation == registration.incarnation) return {{}, known->epoch};

  Decision<BrokerEpoch> decision;
  if (known != nullptr && !known->fenced)
    decision.records = decide_fence(image, registration.broker);
  metadata::RegisterBrokerRecord record;
  record.broker_id = registration.broker;
  record.broker_epoch = image.last_broker_epoch().next();
  record.incarnation = registration.incarnation;
  record.directory = registration.directory;
  record.host = registration.endpoint.host;
  record.port = registration.endpoint.port;
  decision.records.emplace_back(record);
  decision.answer = record.broker_epoch;
  return decision;
}

Records decide_fence(const Image& image, NodeId broker) {
  const metadata::Broker* known = image.broker(broker);
  CHECK(known != nullptr);
  metadata::FenceBrokerRecord record;
  record.broker_id = broker;
  record.broker_epoch = known->epoch;
  Records records{record};
  plan_removals(image, broker, records);
  return records;
}

Records decide_unfence(const Image& image, NodeId broker) {
  const metadata::Broker* known = image.broker(broker);
  CHECK(known != nullptr);
  metadata::UnfenceBrokerRecord record;
  record.broker_id = broker;
  record.broker_epoch = known->epoch;
  Records records{record};
  const Eligible eligible = [&](NodeId node) { return node == broker || image.is_active(node); };
  plan_partitions(image, records, [&](const metadata::Partition& partition) {
    return plan_arrival(partition, eligible);
  });
  return records;
}

Records decide_shutdown(const Image& image, NodeId broker) {
  const metadata::Broker* known = image.broker(broker);
  CHECK(known != nullptr);
  Records records;
  if (!known->shutting_down) {
    metadata::BrokerRegistrationChangeRecord record;
    record.broker_id = broker;
    record.broker_epoch = known->epoch;
    records.emplace_back(record);
  }
  const Eligible eligible = [&](NodeId node) { return node != broker && image.is_active(node); };
  plan_partitions(image, records, [&](const metadata::Partition& partition) {
    auto plan = plan_removal(partition, broker, eligible);
    // Nobody else can lead: it stays until it is gone, for a leader on its way out is better than
    // none.
    if (plan && plan->leader == no_node) return std::optional<PartitionPlan>{};
    return plan;
  });
  return records;
}

bool leads_nothing(const Image& image, NodeId broker) {
  bool leads = false;
  image.topics().for_each([&](const std::string&, const metadata::TopicPtr& topic) {
    for (const auto& partition : topic->partitions) leads = leads || partition->leader == broker;
  });
  return !leads;
}

Decision<ProducerIdBlock> decide_producer_ids(const Image& image) {
  metadata::ProducerIdsRecord record;
  record.next_producer_id = image.next_producer_id().plus(producer_id_block);
  return {{record}, ProducerIdBlock{image.next_producer_id(), producer_id_block}};
}

}  // namespace qlab::controller
