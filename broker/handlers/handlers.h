#pragma once
// The handlers of all APIs, one file each (those that the controller answers alone share
// administration.cc), and the little that they share.

#include "broker/dispatch.h"
#include "wire/kafka/errors.h"
#include "wire/kafka/message.h"

namespace qlab::broker {

Task<Result<Bytes>> handle_alter_configs(Services& services, Request request);
Task<Result<Bytes>> handle_alter_partition_reassignments(Services& services, Request request);
Task<Result<Bytes>> handle_api_versions(Services& services, Request request);
Task<Result<Bytes>> handle_create_partitions(Services& services, Request request);
Task<Result<Bytes>> handle_create_topics(Services& services, Request request);
Task<Result<Bytes>> handle_delete_records(Services& services, Request request);
Task<Result<Bytes>> handle_delete_topics(Services& services, Request request);
Task<Result<Bytes>> handle_describe_cluster(Services& services, Request request);
Task<Result<Bytes>> handle_describe_configs(Services& services, Request request);
Task<Result<Bytes>> handle_elect_leaders(Services& services, Request request);
Task<Result<Bytes>> handle_fetch(Services& services, Request request);
Task<Result<Bytes>> handle_find_coordinator(Services& services, Request request);
Task<Result<Bytes>> handle_incremental_alter_configs(Services& services, Request request);
Task<Result<Bytes>> handle_init_producer_id(Services& services, Request request);
Task<Result<Bytes>> handle_list_offsets(Services& services, Request request);
Task<Result<Bytes>> handle_list_partition_reassignments(Services& services, Request request);
Task<Result<Bytes>> handle_metadata(Services& services, Request request);
Task<Result<Bytes>> handle_offset_for_leader_epoch(Services& services, Request request);
Task<Result<Bytes>> handle_produce(Services& services, Request request);

// The message of a request. It views the request's bytes.
template <class Message>
Result<Message> decode_body(const Request& request) {
  BytesReader in(request.body());
  TRY(Message message, wire::decode<Message>(in, request.header.api_version));
  if (in.left() > 0) {
    return fail(Errc::corrupt, "{} version {}: {} bytes too many", Message::message_name,
                request.header.api_version, in.left());
  }
  return message;
}

template <class Response>
Result<Bytes> encode_answer(const Request& request, const Response& response) {
  BytesWriter out;
  TRY_VOID(wire::encode_response_frame(out, request.header.api_version,
                                       request.header.correlation_id, response));
  return out.take();
}

// The time until which a client is willing to wait, within reason.
Time client_deadline(const Services& services, std::int32_t timeout_ms);

// Which replica a client means by name and index. Errors: not_found.
Result<PartitionKey> find_partition(const Services& services, const std::string& topic,
                                    PartitionIndex partition);

// As clients are told; nothing when it has none.
std::optional<std::string> rack_of(const metadata::Broker& broker);

// Whom to name as the controller: any broker passes calls on, so one that clients can reach.
NodeId controller_for_clients(const Services& services);

// What a client is told when a call to the controller failed.
wire::KafkaError controller_error(Errc code);

}  // namespace qlab::broker
