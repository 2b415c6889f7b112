#include "runtime/network.h"

#include <charconv>

namespace qlab::runtime {

Result<Endpoint> Endpoint::parse(std::string_view text) {
  // The last colon: an IPv6 address has some of its own.
  const std::size_t colon = text.rfind(':');
  const auto malformed = [&] {
    return fail(Errc::invalid, "endpoint '{}' is not host:port with a port in 0..65535", text);
  };
  if (colon == std::string_view::npos || colon == 0) return malformed();
  const std::string_view port = text.substr(colon + 1);
  Endpoint endpoint{std::string(text.substr(0, colon)), 0};
  const auto [end, error] = std::from_chars(port.begin(), port.end(), endpoint.port);
  if (error != std::errc{} || end != port.end()) return malformed();
  return endpoint;
}

}  // namespace qlab::runtime
