#pragma once
// A log beside its naive twin: whether it answers alike, and whether what a crash left is what it
// may leave. For the property tests of both layouts.

#include <functional>

#include "storage/log.h"
#include "storage/log_twin.h"
#include "storage/test_world.h"

namespace qlab::storage {

// A read of a drawn range gives the same batches.
inline Task<void> compare_read(Log& log, const LogTwin& twin, Prng& random) {
  const std::int64_t from = random.between(twin.start, twin.end());
  const std::int64_t limit = random.between(from, twin.end() + 1);
  const std::size_t bytes_max = random.below(1000);
  const auto read = co_await log.read(Offset{from}, Offset{limit}, bytes_max);
  BOOST_REQUIRE_MESSAGE(read.has_value(), (read ? "" : read.error().message()));
  std::size_t at = twin.index_of(from);
  const bool served = from < limit && at < twin.batches.size() && twin.batches[at].next <= limit;
  BOOST_TEST(read->batches.empty() == !served);
  std::size_t bytes = 0;
  std::int64_t next = from;
  while (bytes < read->batches.size()) {
    BOOST_REQUIRE(at < twin.batches.size());
    const LogTwin::Batch& batch = twin.batches[at++];
    BOOST_REQUIRE(bytes + batch.bytes.size() <= read->batches.size());
    const ByteView here = ByteView(read->batches).subspan(bytes, batch.bytes.size());
    BOOST_REQUIRE(std::ranges::equal(here, batch.bytes));
    BOOST_REQUIRE(batch.next <= limit);
    BOOST_TEST((bytes == 0 || bytes + batch.bytes.size() <= bytes_max));
    bytes += batch.bytes.size();
    next = batch.next;
  }
  BOOST_TEST(read->next.value() == next);
}

// Everything that a log may be asked, at a few drawn points.
inline Task<void> compare(Log& log, const LogTwin& twin, Prng& random) {
  BOOST_TEST(log.start().value() == twin.start);
  BOOST_TEST(log.end().value() == twin.end());
  BOOST_TEST(log.latest_epoch().value() == twin.latest_epoch());
  BOOST_TEST(log.size_bytes() == twin.size_bytes());
  for (int i = 0; i < 3; ++i) {
    const auto epoch = static_cast<std::int32_t>(random.between(-1, twin.latest_epoch() + 2));
    const EpochEnd end = log.end_of_epoch(LeaderEpoch{epoch});
    const auto expected = twin.end_of_epoch(epoch);
    BOOST_TEST(end.epoch.value() == expected.first);
    BOOST_TEST(end.end.value() == expected.second);
  }
  const std::int64_t timestamp = random.between(-1, 1000);
  const std::int64_t limit = random.between(twin.start, twin.end() + 1);
  const auto found = co_await log.find_timestamp(timestamp, Offset{limit});
  BOOST_REQUIRE_MESSAGE(found.has_value(), (found ? "" : found.error().message()));
  const auto expected = twin.find(timestamp, limit);
  BOOST_REQUIRE(found->has_value() == expected.has_value());
  if (expected) {
    BOOST_TEST((*found)->offset.value() == expected->first);
    BOOST_TEST((*found)->timestamp == expected->second);
  }
  for (int i = 0; i < 3; ++i) co_await compare_read(log, twin, random);
}

// What a recovery found must be a prefix of the log before the last call or after it, with all that
// was promised; `twin` is that prefix then. Ends early when the node goes down.
// `promised`: everything below it was durable, or is as long as the power lasts.
inline Task<void> accept(Log& log, LogTwin& twin, const LogTwin& pending, std::int64_t promised,
                         std::function<bool()> is_up) {
  std::vector<LogTwin::Batch> found;
  for (Offset at = log.start(); at < log.end();) {
    const auto read = co_await log.read(at, log.end(), 1u << 20);
    if (!is_up()) co_return;
    BOOST_REQUIRE_MESSAGE(read.has_value(), (read ? "" : read.error().message()));
    ByteView rest(read->batches);
    while (!rest.empty()) {
      const BatchHeader header = check_batch(rest).value();
      const ByteView batch = rest.first(header.total_bytes());
      found.push_back({header.base_offset.value(), header.next_offset().value(),
                       header.leader_epoch.value(), Bytes(batch.begin(), batch.end())});
      rest = rest.subspan(header.total_bytes());
    }
    BOOST_REQUIRE(read->next > at);
    at = read->next;
  }
  const bool before = twin.begins_with(log.start().value(), found);
  const bool after = pending.begins_with(log.start().value(), found);
  BOOST_REQUIRE_MESSAGE(
      before || after,
      fmt::format("[{}, {}) is neither of [{}, {}) nor of [{}, {})", log.start(), log.end(),
                  twin.start, twin.end(), pending.start, pending.end()));
  if (twin.start == pending.start) {
    BOOST_TEST(log.end().value() >= std::min(promised, pending.end()));
  } else if (!after) {
    BOOST_TEST(log.end().value() >= promised);
  }
  if (!before) twin = pending;
  twin.batches.resize(found.size());
}

}  // namespace qlab::storage
