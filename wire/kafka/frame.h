#pragma once
// Frames and headers: what stands around the messages on a connection.
//
// A frame is an int32 length, a header and a message. The version of the header follows from that
// of the message, save one exception: an ApiVersions response never has the flexible header, since
// its reader cannot know yet.
//
// Source: Kafka protocol guide, "Protocol Design"; KIP-482; KIP-511 for ApiVersions.

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>

#include "common/bytes.h"
#include "common/result.h"
#include "wire/kafka/apis.h"

namespace qlab::wire {

inline constexpr std::size_t frame_length_bytes = 4;

// Returns how many bytes follow the length.
//
// Requires: `length` has frame_length_bytes bytes.
// Errors: invalid, when the frame is negative or longer than `frame_bytes_max`
// (socket.request.max.bytes).
Result<std::size_t> decode_frame_length(ByteView length, std::size_t frame_bytes_max);

struct RequestHeader {
  ApiKey api_key = ApiKey::api_versions;  // Any number, when it came off the wire.
  std::int16_t api_version = 0;
  std::int32_t correlation_id = 0;
  std::optional<std::string> client_id;

  bool operator==(const RequestHeader&) const = default;
};

// Whether the message behind a request header can be decoded.
enum class Speaks : std::uint8_t { yes, unknown_api, unknown_version };

// Looks into supported_apis().
Speaks speaks(const RequestHeader& header);
// A sentence for the log when the connection is closed: "Produce version 2 is not spoken (3 to 11
// are)".
std::string explain(const RequestHeader& header);

// Reads the header of a request and leaves the reader at its message. A header of an API or a
// version that is not spoken is read as far as it is the same in all versions; its message cannot
// be read.
//
// Errors: corrupt.
Result<RequestHeader> decode_request_header(BytesReader& in);
// Requires: speaks(header) is yes.
void encode_request_header(BytesWriter& out, const RequestHeader& header);

// Reads the header of the response to a request of `api_key` and `version`, and returns the
// correlation id.
//
// Errors: corrupt.
Result<std::int32_t> decode_response_header(BytesReader& in, ApiKey api_key, std::int16_t version);
void encode_response_header(BytesWriter& out, ApiKey api_key, std::int16_t version,
                            std::int32_t correlation_id);

// Starts a frame whose length is not known yet, and fills it in.
//
// Requires: end_frame gets what begin_frame returned.
std::size_t begin_frame(BytesWriter& out);
void end_frame(BytesWriter& out, std::size_t frame);

// Appends a whole frame. Errors: those of encode (wire/kafka/message.h).
template <class Request>
Result<void> encode_request_frame(BytesWriter& out, const RequestHeader& header,
                                  const Request& request) {
  const std::size_t frame = begin_frame(out);
  encode_request_header(out, header);
  TRY_VOID(encode(out, request, header.api_version));
  end_frame(out, frame);
  return {};
}
template <class Response>
Result<void> encode_response_frame(BytesWriter& out, std::int16_t version,
                                   std::int32_t correlation_id, const Response& response) {
  const std::size_t frame = begin_frame(out);
  encode_response_header(out, Response::api_key, version, correlation_id);
  TRY_VOID(encode(out, response, version));
  end_frame(out, frame);
  return {};
}

// Appends the answer to an ApiVersions request of a version that is not spoken: error 35 in version
// 0, with the range of ApiVersions itself, so that the client can ask again (KIP-511).
void encode_unsupported_api_versions_frame(BytesWriter& out, std::int32_t correlation_id);

}  // namespace qlab::wire
