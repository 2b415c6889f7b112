#include "controller/calls.h"

#include "controller/administer.h"
#include "wire/kafka/allocate_producer_ids.h"
#include "wire/kafka/alter_partition.h"
#include "wire/kafka/broker_heartbeat.h"
#include "wire/kafka/broker_registration.h"
#include "wire/kafka/create_topics.h"
#include "wire/kafka/delete_topics.h"

namespace qlab::controller {
Bytes encode_call(const Call& call) {
  BytesWriter out;
  out.put(call.id);
  out.put(call.api_key);
  out.put_bytes(call.body);
  return out.take();
}

Result<Call> decode_call(ByteView bytes) {
  BytesReader in(bytes);
  Call call;
  call.id = in.get<std::uint64_t>();
  call.api_key = in.get<std::int16_t>();
  const ByteView body = in.get_bytes(in.left());
  TRY_VOID(in.status());
  call.body.assign(body.begin(), body.end());
  return call;
}

Bytes encode_reply(const Reply& reply) {
  BytesWriter out;
  out.put(reply.id);
  out.put<std::uint8_t>(reply.body ? 0 : 1);
  if (reply.body) {
    out.put_bytes(*reply.body);
  } else {
    out.put(static_cast<std::uint8_t>(reply.body.error().code));
    out.put_text(reply.body.error().context);
  }
  return out.take();
}

Result<Reply> decode_reply(ByteView bytes) {
  BytesReader in(bytes);
  Reply reply;
  reply.id = in.get<std::uint64_t>();
  if (in.get<std::uint8_t>() == 0) {
    const ByteView body = in.get_bytes(in.left());
    reply.body = Bytes(body.begin(), body.end());
  } else {
    const auto code = in.get<std::uint8_t>();
    if (code > static_cast<std::uint8_t>(Errc::unknown_outcome))
      in.fail_with("an unknown error code");
    const ByteView words = in.get_bytes(in.left());
    reply.body = fail(Error{static_cast<Errc>(code), std::string(as_text(words))});
  }
  TRY_VOID(in.status());
  return reply;
}

Bytes encode_registration(const Registration& registration) {
  wire::BrokerRegistrationRequest message;
  message.broker_id = registration.broker;
  message.incarnation_id = registration.incarnation;
  message.directory_id = registration.directory;
  message.host = registration.endpoint.host;
  message.port = registration.endpoint.port;
  message.rack = registration.rack;
  message.previous_broker_epoch = registration.previous_epoch;
  return encode_newest(message);
}

Result<Registration> decode_registration(ByteView body) {
  TRY(auto message, decode_newest<wire::BrokerRegistrationRequest>(body));
  Registration registration;
  registration.broker = message.broker_id;
  registration.incarnation = message.incarnation_id;
  registration.directory = message.directory_id;
  registration.endpoint = {message.host, message.port};
  registration.rack = message.rack;
  registration.previous_epoch = message.previous_broker_epoch;
  return registration;
}

Bytes encode_broker_epoch(BrokerEpoch epoch) {
  wire::BrokerRegistrationResponse message;
  message.broker_epoch = epoch;
  return encode_newest(message);
}

Result<BrokerEpoch> decode_broker_epoch(ByteView body) {
  TRY(auto message, decode_newest<wire::BrokerRegistrationResponse>(body));
  return message.broker_epoch;
}

Bytes encode_heartbeat(const Heartbeat& heartbeat) {
  wire::BrokerHeartbeatRequest message;
  message.broker_id = heartbeat.broker;
  message.broker_epoch = heartbeat.epoch;
  message.current_metadata_offset = heartbeat.metadata_offset.value();
  message.want_fence = heartbeat.want_fence;
  message.want_shut_down = heartbeat.want_shutdown;
  return encode_newest(message);
}

Result<Heartbeat> decode_heartbeat(ByteView body) {
  TRY(auto message, decode_newest<wire::BrokerHeartbeatRequest>(body));
  Heartbeat heartbeat;
  heartbeat.broker = message.broker_id;
  heartbeat.epoch = message.broker_epoch;
  heartbeat.metadata_offset = LogIndex{message.current_metadata_offset};
  heartbeat.want_fence = message.want_fence;
  heartbeat.want_shutdown = message.want_shut_down;
  return heartbeat;
}

Bytes encode_heartbeat_reply(const HeartbeatReply& reply) {
  wire::BrokerHeartbeatResponse message;
  message.is_caught_up = reply.caught_up;
  message.is_fenced = reply.fenced;
  message.should_shut_down = reply.may_shut_down;
  return encode_newest(message);
}

Result<HeartbeatReply> decode_heartbeat_reply(ByteView body) {
  TRY(auto message, decode_newest<wire::BrokerHeartbeatResponse>(body));
  return HeartbeatReply{message.is_caught_up, message.is_fenced, message.should_shut_down};
}

Bytes encode_creation(const TopicCreation& creation) {
  wire::CreateTopicsRequest message;
  message.validate_only = creation.validate_only;
  for (const NewTopic& topic : creation.topics) {
    wire::CreateTopicsRequest::Topic out;
    out.name = topic.name;
    out.num_partitions = topic.partitions;
    out.replication_factor = topic.replication_factor;
    for (std::size_t p = 0; p < topic.assignment.size(); ++p) {
      wire::CreateTopicsRequest::Assignment assignment;
      assignment.partition_index = PartitionIndex{static_cast<std::int32_t>(p)};
      assignment.broker_ids = topic.assignment[p];
      out.assignments.push_back(std::move(assignment));
    }
    for (const auto& [key, value] : topic.configs) {
      wire::CreateTopicsRequest::Config config;
      config.name = key;
      config.value = value;
      out.configs.push_back(std::move(config));
    }
    message.topics.push_back(std::move(out));
  }
  return encode_newest(message);
}

Result<TopicCreation> decode_creation(ByteView body) {
  TRY(auto message, decode_newest<wire::CreateTopicsRequest>(body));
  TopicCreation creation;
  creation.validate_only = message.validate_only;
  for (auto& topic : message.topics) {
    NewTopic in;
    in.name = topic.name;
    in.partitions = topic.num_partitions;
    in.replication_factor = topic.replication_factor;
    for (auto& assignment : topic.assignments)
      in.assignment.push_back(std::move(assignment.broker_ids));
    for (auto& config : topic.configs) in.configs.emplace_back(config.name, config.value);
    creation.topics.push_back(std::move(in));
  }
  return creation;
}

Bytes encode_created(const std::vector<TopicOutcome>& outcomes) {
  wire::CreateTopicsResponse message;
  for (const TopicOutcome& outcome : outcomes) {
    wire::CreateTopicsResponse::Topic topic;
    topic.name = outcome.name;
    topic.topic_id = outcome.id;
    topic.error_code = outcome.error;
    topic.error_message = outcome.message;
    topic.num_partitions = outcome.partitions;
    topic.replication_factor = outcome.replication_factor;
    message.topics.push_back(std::move(topic));
  }
  return encode_newest(message);
}

Result<std::vector<TopicOutcome>> decode_created(ByteView body) {
  TRY(auto message, decode_newest<wire::CreateTopicsResponse>(body));
  std::vector<TopicOutcome> outcomes;
  for (const auto& topic : message.topics) {
    outcomes.push_back({topic.name, topic.topic_id, topic.error_code,
                        topic.error_message.value_or(""), topic.num_partitions,
                        topic.replication_factor});
  }
  return outcomes;
}

Bytes encode_deletion(const std::vector<std::string>& names) {
  wire::DeleteTopicsRequest message;
  for (const std::string& name : names) {
    wire::DeleteTopicsRequest::Topic topic;
    topic.name = name;
    message.topics.push_back(std::move(topic));
  }
  return encode_newest(message);
}

Result<std::vector<std::string>> decode_deletion(ByteView body) {
  TRY(auto message, decode_newest<wire::DeleteTopicsRequest>(body));
  std::vector<std::string> names;
  for (const auto& topic : message.topics) names.push_back(topic.name.value_or(""));
  return names;
}

Bytes encode_deleted(const std::vector<TopicOutcome>& outcomes) {
  wire::DeleteTopicsResponse message;
  for (const TopicOutcome& outcome : outcomes) {
    wire::DeleteTopicsResponse::Topic topic;
    topic.name = outcome.name;
    topic.topic_id = outcome.id;
    topic.error_code = outcome.error;
    topic.error_message = outcome.message;
    message.responses.push_back(std::move(topic));
  }
  return encode_newest(message);
}

Result<std::vector<TopicOutcome>> decode_deleted(ByteView body) {
  TRY(auto message, decode_newest<wire::DeleteTopicsResponse>(body));
  std::vector<TopicOutcome> outcomes;
  for (const auto& topic : message.responses) {
    TopicOutcome outcome;
    outcome.name = topic.name.value_or("");
    outcome.id = topic.topic_id;
    outcome.error = topic.error_code;
    outcome.message = topic.error_message.value_or("");
    outcomes.push_back(std::move(outcome));
  }
  return outcomes;
}

Bytes encode_alteration(const AlterPartition& request) {
  wire::AlterPartitionRequest message;
  message.broker_id = request.broker;
  message.broker_epoch = request.epoch;
  for (const PartitionAlteration& wanted : request.partitions) {
    wire::AlterPartitionRequest::Partition partition;
    partition.partition_index = wanted.partition;
    partition.leader_epoch = wanted.leader_epoch;
    for (std::size_t m = 0; m < wanted.new_isr.size(); ++m) {
      wire::AlterPartitionRequest::Member member;
      member.broker_id = wanted.new_isr[m];
      if (m < wanted.isr_epochs.size()) member.broker_epoch = wanted.isr_epochs[m];
      partition.new_isr_with_epochs.push_back(member);
    }
    partition.partition_epoch = wanted.partition_epoch;
    partition.claims_leadership = wanted.claims_leadership;
    wire::AlterPartitionRequest::Topic topic;
    topic.topic_id = wanted.topic_id;
    topic.partitions.push_back(std::move(partition));
    message.topics.push_back(std::move(topic));
  }
  return encode_newest(message);
}

Result<AlterPartition> decode_alteration(ByteView body) {
  TRY(auto message, decode_newest<wire::AlterPartitionRequest>(body));
  AlterPartition request;
  request.broker = message.broker_id;
  request.epoch = message.broker_epoch;
  for (const auto& topic : message.topics) {
    for (const auto& partition : topic.partitions) {
      PartitionAlteration wanted;
      wanted.topic_id = topic.topic_id;
      wanted.partition = partition.partition_index;
      wanted.leader_epoch = partition.leader_epoch;
      wanted.partition_epoch = partition.partition_epoch;
      wanted.claims_leadership = partition.claims_leadership;
      for (const auto& member : partition.new_isr_with_epochs) {
        wanted.new_isr.push_back(member.broker_id);
        wanted.isr_epochs.push_back(member.broker_epoch);
      }
      request.partitions.push_back(std::move(wanted));
    }
  }
  return request;
}

Bytes encode_altered(const std::vector<AlterationOutcome>& outcomes) {
  wire::AlterPartitionResponse message;
  for (const AlterationOutcome& outcome : outcomes) {
    wire::AlterPartitionResponse::Partition partition;
    partition.partition_index = outcome.partition;
    partition.error_code = outcome.error;
    partition.leader_id = outcome.leader;
    partition.leader_epoch = outcome.leader_epoch;
    partition.isr = outcome.isr;
    partition.partition_epoch = outcome.partition_epoch;
    wire::AlterPartitionResponse::Topic topic;
    topic.topic_id = outcome.topic_id;
    topic.partitions.push_back(std::move(partition));
    message.topics.push_back(std::move(topic));
  }
  return encode_newest(message);
}

Result<std::vector<AlterationOutcome>> decode_altered(ByteView body) {
  TRY(auto message, decode_newest<wire::AlterPartitionResponse>(body));
  std::vector<AlterationOutcome> outcomes;
  for (const auto& topic : message.topics) {
    for (const auto& partition : topic.partitions) {
      outcomes.push_back({topic.topic_id, partition.partition_index, partition.error_code,
                          partition.leader_id, partition.leader_epoch, partition.partition_epoch,
                          partition.isr});
    }
  }
  return outcomes;
}

Bytes encode_id_request(const ProducerIdRequest& request) {
  wire::AllocateProducerIdsRequest message;
  message.broker_id = request.broker;
  message.broker_epoch = request.epoch;
  return encode_newest(message);
}

Result<ProducerIdRequest> decode_id_request(ByteView body) {
  TRY(auto message, decode_newest<wire::AllocateProducerIdsRequest>(body));
  return ProducerIdRequest{message.broker_id, message.broker_epoch};
}

Bytes encode_id_block(const ProducerIdBlock& block) {
  wire::AllocateProducerIdsResponse message;
  message.producer_id_start = block.first;
  message.producer_id_len = block.count;
  return encode_newest(message);
}

Result<ProducerIdBlock> decode_id_block(ByteView body) {
  TRY(auto message, decode_newest<wire::AllocateProducerIdsResponse>(body));
  return ProducerIdBlock{message.producer_id_start, message.producer_id_len};
}

}  // namespace qlab::controller
