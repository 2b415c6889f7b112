// Calls of administration on the active zk controller.

#include "controller/zk/reign.h"

namespace qlab::controller {

Task<Result<Bytes>> Reign::administer(wire::ApiKey api, Bytes request) {
  static_cast<void>(request);
  co_return fail(Errc::unsupported, "controller call {} is unknown", static_cast<int>(api));
}

}  // namespace qlab::controller
