#pragma once
// Calls between nodes, as bytes: the requests of controller.h in Kafka's own messages, and the
// envelope around them.
//
// Envelope of a call: call id u64, api key i16, then the request's body in its highest version.
// Envelope of a reply: call id u64, outcome u8 (0: an answer follows; else an Errc and its words),
// body.

#include "controller/controller.h"

namespace qlab::controller {

struct Call {
  std::uint64_t id = 0;  // The caller's own count.
  std::int16_t api_key = 0;
  Bytes body;
};
struct Reply {
  std::uint64_t id = 0;
  Result<Bytes> body;
};

Bytes encode_call(const Call& call);
Result<Call> decode_call(ByteView bytes);
Bytes encode_reply(const Reply& reply);
Result<Reply> decode_reply(ByteView bytes);

// Requests and answers as bodies. Each pair is the inverse of the other. Errors of decode_*:
// corrupt.
inline constexpr std::int16_t create_topics_key = 19;
inline constexpr std::int16_t delete_topics_key = 20;
inline constexpr std::int16_t alter_partition_key = 56;
inline constexpr std::int16_t broker_registration_key = 62;
inline constexpr std::int16_t broker_heartbeat_key = 63;
inline constexpr std::int16_t allocate_producer_ids_key = 67;

Bytes encode_registration(const Registration& registration);
Result<Registration> decode_registration(ByteView body);
Bytes encode_broker_epoch(BrokerEpoch epoch);
Result<BrokerEpoch> decode_broker_epoch(ByteView body);

Bytes encode_heartbeat(const Heartbeat& heartbeat);
Result<Heartbeat> decode_heartbeat(ByteView body);
Bytes encode_heartbeat_reply(const HeartbeatReply& reply);
Result<HeartbeatReply> decode_heartbeat_reply(ByteView body);

struct TopicCreation {
  std::vector<NewTopic> topics;
  bool validate_only = false;
};
Bytes encode_creation(const TopicCreation& creation);
Result<TopicCreation> decode_creation(ByteView body);
Bytes encode_created(const std::vector<TopicOutcome>& outcomes);
Result<std::vector<TopicOutcome>> decode_created(ByteView body);

Bytes encode_deletion(const std::vector<std::string>& names);
Result<std::vector<std::string>> decode_deletion(ByteView body);
Bytes encode_deleted(const std::vector<TopicOutcome>& outcomes);
Result<std::vector<TopicOutcome>> decode_deleted(ByteView body);

Bytes encode_alteration(const AlterPartition& request);
Result<AlterPartition> decode_alteration(ByteView body);
Bytes encode_altered(const std::vector<AlterationOutcome>& outcomes);
Result<std::vector<AlterationOutcome>> decode_altered(ByteView body);

struct ProducerIdRequest {
  NodeId broker;
  BrokerEpoch epoch;
};
Bytes encode_id_request(const ProducerIdRequest& request);
Result<ProducerIdRequest> decode_id_request(ByteView body);
Bytes encode_id_block(const ProducerIdBlock& block);
Result<ProducerIdBlock> decode_id_block(ByteView body);

}  // namespace qlab::controller
