// What becomes of old records: PartitionLog's part in retention, deletion and compaction.

#include "storage/partition_log.h"

namespace qlab::storage {

Task<Result<void>> PartitionLog::delete_before(Offset) {
  co_return fail(Errc::unsupported, "{}: this layout deletes no records", directory_);
}

Task<Result<RetentionOutcome>> PartitionLog::apply_retention(WallMillis, Offset) {
  co_return fail(Errc::unsupported, "{}: this layout deletes no records", directory_);
}

Task<Result<CompactionOutcome>> PartitionLog::compact(WallMillis, Offset) {
  co_return fail(Errc::unsupported, "{}: this layout deletes no records", directory_);
}

}  // namespace qlab::storage
