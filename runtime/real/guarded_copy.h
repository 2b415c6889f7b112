#pragma once
// Copies to and from a shared mapping of a file, which the kernel may refuse half way with SIGBUS:
// the file was cut by another, a page cannot be read, or a hole finds the disk full.
//
// Source: the third of the four problems of CIDR'22, "Are You Sure You Want to Use MMAP in Your
// Database Management System?".

#include <span>

#include "common/bytes.h"

namespace qlab::runtime {

// Makes SIGBUS of the copies below theirs; any other still ends the process as it does by default.
// Replaces a handler that somebody else has put in place since the last call.
// Thread: any. Errors: io, when the system refuses.
Result<void> guard_copies();

// Copies all of `from` to the beginning of `to`. False when a page of `mapping`, which one of the
// two lies in, was not to be had; then any part may have been copied.
// Requires: guard_copies(); `to` is as long as `from`, and they do not overlap.
bool copy_guarded(std::span<std::byte> to, ByteView from, ByteView mapping);

}  // namespace qlab::runtime
