#include "storage/retention.h"

#include <algorithm>
#include <limits>

#include "common/check.h"

namespace qlab::storage {
namespace {

// How long ago that was; negative in the future. A timestamp is what a client wrote.
std::int64_t age(std::int64_t timestamp, WallMillis now) {
  std::int64_t age = 0;
  const bool beyond = __builtin_sub_overflow(now.count(), timestamp, &age);
  return beyond ? std::numeric_limits<std::int64_t>::min() : age;
}

}  // namespace

std::size_t segments_to_delete(std::span<const SegmentFacts> segments, const LogOptions& options,
                               WallMillis now, Offset start, Offset limit) {
  const bool policy = deletes_segments(options.cleanup_policy);
  std::uint64_t left = 0;
  for (const SegmentFacts& segment : segments) left += segment.bytes;
  std::size_t count = 0;
  for (const SegmentFacts& segment : segments) {
    const bool is_empty_last = count + 1 == segments.size() && segment.bytes == 0;
    if (segment.end > limit || is_empty_last) break;
    const bool below_start = segment.end <= start;
    const bool too_old = policy && options.retention.count() >= 0 && segment.max_timestamp >= 0 &&
                         age(segment.max_timestamp, now) > options.retention.count();
    const bool too_much =
        policy && options.retention_bytes >= 0 &&
        left >= segment.bytes + static_cast<std::uint64_t>(options.retention_bytes);
    if (!below_start && !too_old && !too_much) break;
    left -= segment.bytes;
    count += 1;
  }
  return count;
}

bool is_roll_due(const SegmentFacts& active, const LogOptions& options, WallMillis now) {
  if (active.bytes == 0 || active.first_timestamp < 0) return false;
  const WallMillis age_max = compacts(options.cleanup_policy)
                                 ? std::min(options.segment_age_max, options.compaction_lag_max)
                                 : options.segment_age_max;
  return age(active.first_timestamp, now) > age_max.count();
}

CompactionPlan plan_compaction(std::span<const SegmentFacts> segments, const LogOptions& options,
                               WallMillis now, Offset clean_end, Offset limit) {
  CompactionPlan plan;
  if (!compacts(options.cleanup_policy)) return plan;
  std::uint64_t clean = 0;
  std::uint64_t dirty = 0;
  bool waited = false;
  for (const SegmentFacts& segment : segments) {
    const bool too_young = options.compaction_lag_min.count() > 0 && segment.max_timestamp >= 0 &&
                           age(segment.max_timestamp, now) < options.compaction_lag_min.count();
    const bool is_dirty = segment.end > clean_end;
    if (segment.end > limit || (is_dirty && too_young)) break;
    if (is_dirty && dirty == 0 && segment.first_timestamp >= 0) {
      waited = age(segment.first_timestamp, now) > options.compaction_lag_max.count();
    }
    (is_dirty ? dirty : clean) += segment.bytes;
    plan.segments += 1;
  }
  if (plan.segments == 0 || dirty == 0) return plan;
  plan.dirty_from = std::max(clean_end, segments.front().base);
  const double ratio = static_cast<double>(dirty) / static_cast<double>(clean + dirty);
  plan.is_due = waited || ratio > options.cleanable_ratio_min;
  return plan;
}

std::size_t segments_to_group(std::span<const SegmentFacts> segments, std::uint64_t segment_bytes) {
  CHECK(!segments.empty());
  constexpr std::int64_t relative_max = std::numeric_limits<std::int32_t>::max();
  std::uint64_t bytes = segments.front().bytes;
  std::size_t count = 1;
  while (count < segments.size()) {
    bytes += segments[count].bytes;
    if (bytes > segment_bytes || segments[count].end - segments.front().base > relative_max) break;
    count += 1;
  }
  return count;
}

}  // namespace qlab::storage
