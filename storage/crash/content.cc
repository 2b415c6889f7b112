#include "storage/crash/content.h"

#include <cstring>

#include "common/prng.h"
#include "common/record_batch.h"

namespace qlab::storage {
namespace {

constexpr std::int64_t first_timestamp = 1'700'000'000'000;

Prng generator_of(const LogIdentity& log, std::uint64_t epoch, std::uint64_t base) {
  std::uint64_t mixed = log.seed;
  for (const std::uint64_t part : {static_cast<std::uint64_t>(log.partition),
                                   static_cast<std::uint64_t>(log.incarnation), epoch, base}) {
    mixed = Prng(mixed ^ (part + 0x9E3779B97F4A7C15u)).next();
  }
  return Prng(mixed);
}

std::size_t draw_size(Prng& random) {
  const double kind = random.unit();
  if (kind < 0.70) return 10 + random.below(300);
  if (kind < 0.97) return 300 + random.below(4000);
  return 4000 + random.below(28'000);
}

// The words say what the bytes behind them prove.
Bytes value_of(const LogIdentity& log, LeaderEpoch epoch, Offset offset, Prng& random) {
  const std::string words = fmt::format("partition {} incarnation {} epoch {} offset {} ",
                                        log.partition, log.incarnation, epoch, offset);
  const ByteView view = as_view(words);
  Bytes value(view.begin(), view.end());
  value.resize(words.size() + draw_size(random));
  for (std::size_t at = words.size(); at < value.size(); at += sizeof(std::uint64_t)) {
    const std::uint64_t drawn = random.next();
    std::memcpy(value.data() + at, &drawn, std::min(sizeof drawn, value.size() - at));
  }
  return value;
}

}  // namespace

std::string LogIdentity::partition_name() const {
  return fmt::format("crash-{}", partition);
}

TopicId LogIdentity::topic() const {
  Prng random = generator_of(*this, 0, 0);
  const std::uint64_t high = random.next();
  return Uuid::from_random(high, random.next());
}

Bytes batch_of(const LogIdentity& log, LeaderEpoch epoch, Offset base) {
  Prng random = generator_of(log, static_cast<std::uint64_t>(epoch.value()) + 1,
                             static_cast<std::uint64_t>(base.value()) + 1);
  std::vector<Record> records(1 + random.below(8));
  std::int32_t delta = 0;
  for (Record& record : records) {
    record.offset_delta = delta;
    record.timestamp = first_timestamp + base.value() + delta;
    record.value = value_of(log, epoch, base.plus(delta), random);
    delta += 1;
  }
  return encode_batch(records, base, epoch);
}

}  // namespace qlab::storage
