#include "wire/kafka/frame.h"

#include "common/check.h"
#include "wire/kafka/api_versions.h"

namespace qlab::wire {

namespace {

bool is_flexible(ApiKey api_key, std::int16_t version) {
  const ApiInfo* api = find_api(api_key);
  return api != nullptr && api->versions.contains(version) && version >= api->flexible_min;
}

bool has_flexible_response_header(ApiKey api_key, std::int16_t version) {
  return api_key != ApiKey::api_versions && is_flexible(api_key, version);
}

// No header has a tagged field that we know.
void skip_tags(BytesReader& in) {
  const std::uint64_t count = in.get_uvarint();
  for (std::uint64_t i = 0; i < count && in.ok(); ++i) {
    in.get_uvarint();
    in.get_bytes(in.get_uvarint());
  }
}

}  // namespace

Result<std::size_t> decode_frame_length(ByteView length, std::size_t frame_bytes_max) {
  CHECK(length.size() == frame_length_bytes);
  const auto bytes = load_big<std::int32_t>(length.data());
  if (bytes < 0 || static_cast<std::size_t>(bytes) > frame_bytes_max) {
    return fail(Errc::invalid, "a frame of {} bytes is outside 0 to {} (socket.request.max.bytes)",
                bytes, frame_bytes_max);
  }
  return static_cast<std::size_t>(bytes);
}

Speaks speaks(const RequestHeader& header) {
  const ApiInfo* api = find_api(header.api_key);
  if (api == nullptr) return Speaks::unknown_api;
  return api->versions.contains(header.api_version) ? Speaks::yes : Speaks::unknown_version;
}

std::string explain(const RequestHeader& header) {
  const ApiInfo* api = find_api(header.api_key);
  if (api == nullptr) {
    return fmt::format("api key {} is not spoken", static_cast<int>(header.api_key));
  }
  return fmt::format("{} version {} is{} spoken ({} to {} are)", api->name, header.api_version,
                     api->versions.contains(header.api_version) ? "" : " not", api->versions.min,
                     api->versions.max);
}

Result<RequestHeader> decode_request_header(BytesReader& in) {
  RequestHeader header;
  header.api_key = static_cast<ApiKey>(in.get<std::int16_t>());
  header.api_version = in.get<std::int16_t>();
  header.correlation_id = in.get<std::int32_t>();
  // The client id keeps its old form in flexible headers too.
  const auto length = in.get<std::int16_t>();
  if (length < -1) in.fail_with(fmt::format("a client id of {} bytes", length));
  if (length >= 0) header.client_id = as_text(in.get_bytes(static_cast<std::size_t>(length)));
  if (is_flexible(header.api_key, header.api_version)) skip_tags(in);
  TRY_VOID(in.status());
  return header;
}

void encode_request_header(BytesWriter& out, const RequestHeader& header) {
  CHECK(speaks(header) == Speaks::yes);
  out.put(static_cast<std::int16_t>(header.api_key));
  out.put(header.api_version);
  out.put(header.correlation_id);
  if (header.client_id) {
    CHECK(header.client_id->size() <= 0x7fff);
    out.put(static_cast<std::int16_t>(header.client_id->size()));
    out.put_text(*header.client_id);
  } else {
    out.put<std::int16_t>(-1);
  }
  if (is_flexible(header.api_key, header.api_version)) out.put_uvarint(0);
}

Result<std::int32_t> decode_response_header(BytesReader& in, ApiKey api_key, std::int16_t version) {
  const auto correlation_id = in.get<std::int32_t>();
  if (has_flexible_response_header(api_key, version)) skip_tags(in);
  TRY_VOID(in.status());
  return correlation_id;
}

void encode_response_header(BytesWriter& out, ApiKey api_key, std::int16_t version,
                            std::int32_t correlation_id) {
  out.put(correlation_id);
  if (has_flexible_response_header(api_key, version)) out.put_uvarint(0);
}

std::size_t begin_frame(BytesWriter& out) {
  out.put<std::int32_t>(0);
  return out.size();
}

void end_frame(BytesWriter& out, std::size_t frame) {
  const std::size_t bytes = out.size() - frame;
  CHECK(bytes <= 0x7fff'ffff);
  out.patch(frame - frame_length_bytes, static_cast<std::int32_t>(bytes));
}

void encode_unsupported_api_versions_frame(BytesWriter& out, std::int32_t correlation_id) {
  ApiVersionsResponse response;
  response.error_code = KafkaError::unsupported_version;
  const VersionRange range = find_api(ApiKey::api_versions)->advertised;
  response.api_keys.push_back({ApiKey::api_versions, range.min, range.max});
  const auto done = encode_response_frame(out, 0, correlation_id, response);
  CHECK(done.has_value());
}

}  // namespace qlab::wire
