#include "runtime/real/transports.h"

#include "common/check.h"
#include "runtime/real/grpc_transport.h"
#include "runtime/tcp_transport.h"

namespace qlab::runtime {

std::unique_ptr<Transport> make_transport(std::string_view name, Runtime& runtime) {
  CHECK(is_transport(name));
  return name == "tcp" ? make_tcp_transport(runtime) : make_grpc_transport(runtime);
}

}  // namespace qlab::runtime
