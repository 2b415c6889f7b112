#pragma once
// What every generated message has in common.
//
// A message is a plain struct, for example wire/kafka/produce.h: ProduceRequest and
// ProduceResponse. Each carries `message_name`, `api_key`, `versions_min`, `versions_max` and
// `flexible_min` as static constants, a request also `Response`. For each there is
//
//   Result<void> encode(BytesWriter& out, const ProduceRequest& message, std::int16_t version);
//   Result<ProduceRequest> decode<ProduceRequest>(BytesReader& in, std::int16_t version);
//
// Both speak of the body alone; headers and lengths are the business of wire/kafka/frame.h.

#include <cstdint>

#include "common/bytes.h"
#include "common/result.h"

namespace qlab::wire {

// The flexible_min of a message that has no flexible version.
inline constexpr std::int16_t never_flexible = 32767;

// Reads one message and leaves what follows it unread. Fields that the version does not carry have
// their defaults. Fields of type `records` are views into the reader's bytes, which must outlive
// the message.
//
// Errors: unsupported, for a version outside the message's own range; corrupt, for bytes that do
// not decode, with the name of the field.
template <class Message>
Result<Message> decode(BytesReader& in, std::int16_t version);

// The contract of each `encode`: appends the message to `out`. When it fails, part of the message
// has been written.
//
// Errors: unsupported, for a version outside the message's own range; invalid, when a field does
// not fit its version: it is set but the version cannot carry it (and the schema does not call it
// ignorable), null where null is not allowed, or too long.

}  // namespace qlab::wire
