// The formats beside the batches, and what decoding makes of bytes that are none.

#include <map>

#include "common/prng.h"
#include "storage/checkpoint.h"
#include "storage/epoch_cache.h"
#include "storage/kafka_files.h"
#include "storage/offset_index.h"
#include "storage/test_world.h"
#include "storage/time_index.h"

namespace qlab::storage {
namespace {

Bytes draw_bytes(Prng& random, std::size_t count) {
  Bytes bytes(count);
  for (std::byte& each : bytes) each = static_cast<std::byte>(random.next());
  return bytes;
}

BOOST_AUTO_TEST_SUITE(index)

BOOST_AUTO_TEST_CASE(segment_files_have_kafkas_names) {
  BOOST_TEST(segment_file_name(Offset{42}, data_suffix) == "00000000000000000042.log");
  BOOST_TEST(base_of_data_file("00000000000000000042.log")->value() == 42);
  for (const char* other : {"42.log", "00000000000000000042.index", "0000000000000000004x.log",
                            "99999999999999999999.log", "-0000000000000000001.log", ""}) {
    BOOST_TEST(!base_of_data_file(other).has_value(), other);
  }
}

BOOST_AUTO_TEST_CASE(an_offset_index_finds_the_last_batch_that_begins_at_or_before) {
  Prng random(1);
  for (int round = 0; round < 200; ++round) {
    const Offset base{random.between(0, 1000)};
    OffsetIndex built(base);
    std::map<std::int64_t, std::uint64_t> twin;  // Last offset to position.
    std::int64_t offset = base.value();
    std::uint64_t position = 0;
    for (std::uint64_t i = random.below(20); i > 0; --i) {
      offset += random.between(1, 50);
      position += 1 + random.below(5000);
      built.append({Offset{offset}, position});
      twin[offset] = position;
    }
    if (random.chance(0.5)) {
      const std::uint64_t cut = random.below(position + 2);
      built.truncate(cut);
      std::erase_if(twin, [&](const auto& entry) { return entry.second >= cut; });
    }
    const OffsetIndex index = must(OffsetIndex::decode(base, built.encode()));
    BOOST_TEST((index.entries() == built.entries()));
    for (int i = 0; i < 20; ++i) {
      const std::int64_t wanted = random.between(base.value(), offset + 5);
      const auto beyond = twin.upper_bound(wanted);
      const std::uint64_t expected = beyond == twin.begin() ? 0 : std::prev(beyond)->second;
      BOOST_TEST(index.position_near(Offset{wanted}) == expected);
    }
  }
}

BOOST_AUTO_TEST_CASE(a_time_index_keeps_the_running_maximum) {
  Prng random(2);
  for (int round = 0; round < 200; ++round) {
    TimeIndex built(Offset{100});
    std::vector<TimeIndex::Entry> maxima;
    Offset offset{100};
    for (std::uint64_t i = random.below(20); i > 0; --i) {
      offset = offset.plus(random.between(1, 9));
      const TimeIndex::Entry entry{random.between(0, 300), offset};
      built.append(entry);
      if (maxima.empty() || entry.timestamp > maxima.back().timestamp) maxima.push_back(entry);
    }
    BOOST_TEST((built.entries() == maxima));
    const TimeIndex index = must(TimeIndex::decode(Offset{100}, built.encode()));
    BOOST_TEST((index.entries() == maxima));
    const std::int64_t wanted = random.between(-1, 301);
    Offset expected{100};
    for (const TimeIndex::Entry& entry : maxima) {
      if (entry.timestamp < wanted) expected = entry.offset;
    }
    BOOST_TEST(index.offset_near(wanted).value() == expected.value());
  }
}

BOOST_AUTO_TEST_CASE(entries_have_kafkas_bytes) {
  OffsetIndex offsets(Offset{1000});
  offsets.append({Offset{1005}, 4097});
  BOOST_TEST((offsets.encode() == bytes_of(std::string_view("\0\0\0\5\0\0\x10\1", 8))));
  TimeIndex times(Offset{1000});
  times.append({0x0102030405060708, Offset{1005}});
  BOOST_TEST((times.encode() == bytes_of(std::string_view("\1\2\3\4\5\6\7\x8\0\0\0\5", 12))));
  EpochCache epochs;
  epochs.assign(LeaderEpoch{3}, Offset{0});
  epochs.assign(LeaderEpoch{7}, Offset{42});
  BOOST_TEST(epochs.encode() == "0\n2\n3 0\n7 42\n");
}

BOOST_AUTO_TEST_CASE(bytes_that_are_no_index_are_refused) {
  BOOST_TEST(!OffsetIndex::decode(Offset{0}, Bytes(7)).has_value());
  BOOST_TEST(!OffsetIndex::decode(Offset{0}, Bytes(8)).has_value());
  BOOST_TEST(!TimeIndex::decode(Offset{0}, Bytes(11)).has_value());
  BOOST_TEST(!TimeIndex::decode(Offset{0}, Bytes(24)).has_value());
  Prng random(3);
  for (int i = 0; i < 1000; ++i) {
    // Whatever they say of drawn bytes, what they accept can be used.
    const Bytes bytes = draw_bytes(random, random.below(60));
    if (const auto index = OffsetIndex::decode(Offset{5}, bytes)) index->position_near(Offset{9});
    if (const auto index = TimeIndex::decode(Offset{5}, bytes)) index->offset_near(9);
    BOOST_TEST(!EpochCache::decode(as_text(bytes)).has_value());
    BOOST_TEST(!decode_recovery_point(as_text(bytes)).has_value());
  }
}

BOOST_AUTO_TEST_CASE(an_epoch_checkpoint_with_a_wrong_line_is_refused) {
  for (const char* wrong :
       {"", "1\n0\n", "0\n", "0\n1\n", "0\nx\n", "0\n1\n3\n", "0\n1\n3 0 \n", "0\n1\n3 0\n4 1\n",
        "0\n2\n3 5\n3 6\n", "0\n2\n3 5\n4 4\n", "0\n1\n-2 0\n", "0\n1\n1 -1\n"}) {
    BOOST_TEST(!EpochCache::decode(wrong).has_value(), wrong);
  }
  const auto good = must(EpochCache::decode("0\n2\n3 0\n7 42\n"));
  BOOST_TEST(good.encode() == "0\n2\n3 0\n7 42\n");
}

BOOST_AUTO_TEST_CASE(an_epoch_cache_answers_as_a_list_of_offsets_does) {
  Prng random(4);
  for (int round = 0; round < 300; ++round) {
    EpochCache cache;
    std::vector<std::int32_t> twin;  // The epoch of each offset.
    std::int32_t epoch = 0;
    for (int i = 0; i < 40; ++i) {
      if (random.chance(0.1)) {
        const std::size_t end = random.below(twin.size() + 1);
        cache.truncate_from_end(Offset{static_cast<std::int64_t>(end)});
        twin.resize(end);
        continue;
      }
      if (random.chance(0.2)) epoch += static_cast<std::int32_t>(1 + random.below(3));
      cache.assign(LeaderEpoch{epoch}, Offset{static_cast<std::int64_t>(twin.size())});
      twin.push_back(epoch);
    }
    BOOST_TEST(cache.latest().value() == (twin.empty() ? -1 : twin.back()));
    for (std::int32_t asked = -1; asked < epoch + 2; ++asked) {
      const auto larger = std::upper_bound(twin.begin(), twin.end(), asked);
      const EpochEnd answer =
          cache.end_of(LeaderEpoch{asked}, Offset{static_cast<std::int64_t>(twin.size())});
      BOOST_TEST(answer.end.value() == larger - twin.begin());
      BOOST_TEST(answer.epoch.value() == (larger == twin.begin() ? -1 : *std::prev(larger)));
    }
    BOOST_TEST((must(EpochCache::decode(cache.encode())).entries() == cache.entries()));
  }
}

BOOST_AUTO_TEST_CASE(a_recovery_point_with_any_changed_byte_is_refused) {
  const RecoveryPoint point{.start = Offset{3},
                            .offset = Offset{120},
                            .segment = Offset{100},
                            .position = 4096,
                            .generation = 2};
  const std::string text = encode_recovery_point(point);
  BOOST_TEST((must(decode_recovery_point(text)) == point));
  for (std::size_t i = 0; i < text.size(); ++i) {
    std::string changed = text;
    changed[i] = static_cast<char>(changed[i] ^ 1);
    BOOST_TEST(!decode_recovery_point(changed).has_value(), "byte " << i);
    BOOST_TEST(!decode_recovery_point(text.substr(0, i)).has_value(), "first " << i);
  }
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace qlab::storage
