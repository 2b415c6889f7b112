#pragma once
// The bodies of answers: of what a read finds in this server's state, and of what came of a write.

#include "keeper/state.h"
#include "keeper/watches.h"

namespace qlab::keeper {

struct Answer {
  ErrorCode error = ErrorCode::ok;
  Bytes body;  // Empty with an error.
};

// Who reads; its watches are set here, and events that it missed are told by `watches`.
struct Reader {
  WatcherId watcher = 0;
  std::int64_t session = 0;
};

// Requires: the request is no write, no sync, and no auth.
Answer answer_read(const State& state, Watches& watches, Reader reader,
                   const wire::keeper::Request& request);

// Source: ZooKeeper's FinalRequestProcessor. A multi that failed is no error by itself: its parts
// say what each of them would have been.
Answer answer_write(const Outcome& outcome);

}  // namespace qlab::keeper
