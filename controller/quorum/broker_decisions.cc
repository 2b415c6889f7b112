#include "common/check.h"
#include "controller/quorum/decisions.h"

namespace qlab::controller {
namespace {

using metadata::Image;
using metadata::Records;

// What the records alone make of the image, for the first piece of the walk that follows them.
Image after(const Image& image, const Records& records) {
  metadata::Delta unused;
  return image.replay(records, image.offset(), unused);
}

template <class BrokerRecord>
Records record_for(const Image& image, NodeId broker) {
  const metadata::Broker* known = image.broker(broker);
  CHECK(known != nullptr);
  BrokerRecord record;
  record.broker_id = broker;
  record.broker_epoch = known->epoch;
  return {record};
}

LongDecision begin(const Image& image, Records records, PartitionWalk walk,
                   const ControllerOptions& options) {
  walk.next(after(image, records), options.records_per_entry, records);
  return {std::move(records), std::move(walk)};
}

}  // namespace

Result<Decision<BrokerEpoch>> decide_registration(const Image& image,
                                                  const Registration& registration,
                                                  bool is_heard_of) {
  const metadata::Broker* known = image.broker(registration.broker);
  if (known != nullptr && known->incarnation == registration.incarnation) {
    return Decision<BrokerEpoch>{{}, known->epoch};
  }
  if (known != nullptr && known->directory != registration.directory && is_heard_of) {
    return fail(Errc::exists, "broker {} is registered by a process on another data directory",
                registration.broker);
  }
  metadata::RegisterBrokerRecord record;
  record.broker_id = registration.broker;
  record.broker_epoch = image.last_broker_epoch().next();
  record.incarnation = registration.incarnation;
  record.directory = registration.directory;
  record.host = registration.endpoint.host;
  record.port = registration.endpoint.port;
  record.rack = registration.rack;
  return Decision<BrokerEpoch>{{record}, record.broker_epoch};
}

LongDecision decide_fence(const Image& image, NodeId broker, const ControllerOptions& options) {
  return begin(image, record_for<metadata::FenceBrokerRecord>(image, broker),
               removal_walk(image, broker, false, options), options);
}

LongDecision decide_farewell(const Image& image, NodeId broker, const ControllerOptions& options,
                             bool kept_log) {
  const metadata::Broker* known = image.broker(broker);
  CHECK(known != nullptr);
  Records records;
  if (!known->fenced) records = record_for<metadata::FenceBrokerRecord>(image, broker);
  return begin(image, std::move(records), removal_walk(image, broker, !kept_log, options), options);
}

bool has_kept_log(const Image& image, const Registration& registration) {
  const metadata::Broker* known = image.broker(registration.broker);
  return known != nullptr && known->epoch == registration.previous_epoch &&
         known->directory == registration.directory;
}

LongDecision decide_unfence(const Image& image, NodeId broker, const ControllerOptions& options) {
  return begin(image, record_for<metadata::UnfenceBrokerRecord>(image, broker),
               leaderless_walk(image, options), options);
}

LongDecision decide_shutdown(const Image& image, NodeId broker, const ControllerOptions& options) {
  const metadata::Broker* known = image.broker(broker);
  CHECK(known != nullptr);
  Records records;
  if (!known->shutting_down) {
    records = record_for<metadata::BrokerRegistrationChangeRecord>(image, broker);
  }
  return begin(image, std::move(records), handover_walk(image, broker, options), options);
}

Decision<ProducerIdBlock> decide_producer_ids(const Image& image) {
  metadata::ProducerIdsRecord record;
  record.next_producer_id = image.next_producer_id().plus(producer_id_block);
  return {{record}, ProducerIdBlock{image.next_producer_id(), producer_id_block}};
}

}  // namespace qlab::controller
