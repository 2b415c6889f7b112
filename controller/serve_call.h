#pragma once
// The other end of a routed call: from its bytes to the controller that is here, and back.

#include "controller/controller.h"

namespace qlab::controller {

// `local` refuses with not_leader what it does not decide at present.
// Errors: those of the call; corrupt, when the body does not decode.
Task<Result<Bytes>> serve_call(Controller& local, std::int16_t api_key, Bytes body, Time deadline);

}  // namespace qlab::controller
