#include "wire/kafka/api_versions.h"

#include <algorithm>

#include "broker/handlers/handlers.h"

namespace qlab::broker {
namespace {

// KIP-511: [a-zA-Z0-9](?:[a-zA-Z0-9\-.]*[a-zA-Z0-9])?
bool is_software_word(std::string_view word) {
  const auto plain = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
  };
  return !word.empty() && plain(word.front()) && plain(word.back()) &&
         std::ranges::all_of(word, [&](char c) { return plain(c) || c == '-' || c == '.'; });
}

}  // namespace

Task<Result<Bytes>> handle_api_versions(Services&, Request request) {
  CO_TRY(const auto message, decode_body<wire::ApiVersionsRequest>(request));
  wire::ApiVersionsResponse response;
  if (request.header.api_version >= 3 && (!is_software_word(message.client_software_name) ||
                                          !is_software_word(message.client_software_version))) {
    response.error_code = wire::KafkaError::invalid_request;
    co_return encode_answer(request, response);
  }
  for (const wire::ApiInfo& api : served_apis()) {
    response.api_keys.push_back({api.key, api.advertised.min, api.advertised.max});
  }
  co_return encode_answer(request, response);
}

}  // namespace qlab::broker
