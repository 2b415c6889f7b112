#pragma once
// The one known-bad mode that lies below the runtime.

namespace qlab::storage {

// From here on fsync() of a directory does nothing and says it did, in all of this program.
void skip_directory_syncs();

}  // namespace qlab::storage
