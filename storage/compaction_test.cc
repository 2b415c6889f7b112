#include "storage/compaction.h"

#include <boost/test/unit_test.hpp>

#include "common/prng.h"
#include "storage/keyed_records.h"

namespace qlab::storage {
namespace {

using Fate = CleanedBatch::Fate;

constexpr HashSecret secret{1, 2};
constexpr std::size_t plenty = 1u << 20;

// Records at timestamps 1000 + offset, in leader epoch 3.
Bytes batch_of(std::int64_t base, const std::vector<std::string_view>& texts,
               BatchHeader header = {}) {
  header.leader_epoch = LeaderEpoch{3};
  return keyed_batch(texts, base, 1000 + base, header);
}

// Whole passes over a list of batches.
struct Cleaner {
  explicit Cleaner(std::vector<Bytes> all = {}) : batches(std::move(all)) {}

  std::vector<Bytes> batches;
  Offset clean_end;
  std::size_t map_bytes = plenty;
  std::int64_t delete_retention = 100;

  // False when the map was full.
  bool run(std::int64_t now) {
    DirtyKeys keys(map_bytes, secret, clean_end);
    ProducerTails producers;
    bool all = true;
    for (const Bytes& batch : batches) {
      const BatchHeader header = check_batch(batch).value();
      producers.note(header);
      if (all && header.next_offset() > clean_end) all = keys.map_keys(batch).value();
    }
    const CompactionPass pass{keys, producers, WallMillis(now), WallMillis(delete_retention)};
    std::vector<Bytes> kept;
    for (std::size_t i = 0; i < batches.size(); ++i) {
      CleanedBatch cleaned = clean_batch(batches[i], pass, i + 1 == batches.size()).value();
      if (cleaned.fate == Fate::kept) kept.push_back(batches[i]);
      if (cleaned.fate == Fate::rewritten) kept.push_back(std::move(cleaned.bytes));
    }
    batches = std::move(kept);
    clean_end = keys.end();
    return all;
  }
  std::vector<std::string> texts() const {
    std::vector<std::string> texts;
    for (const Bytes& batch : batches) {
      for (std::string& text : keyed_texts(batch)) texts.push_back(std::move(text));
    }
    return texts;
  }
};

using Texts = std::vector<std::string>;

BOOST_AUTO_TEST_SUITE(compaction)

// Source: vectors_sip128 of the reference implementation: key 00..0f, input 00, 00 01, ...
BOOST_AUTO_TEST_CASE(a_key_is_hashed_as_the_reference_does) {
  const HashSecret reference{0x0706050403020100, 0x0f0e0d0c0b0a0908};
  BOOST_TEST((hash_key({}, reference) == KeyHash{0xe6a825ba047f81a3, 0x930255c71472f66d}));
  const Bytes one(1);
  BOOST_TEST((hash_key(one, reference) == KeyHash{0x44af996bd8c187da, 0x45fc229b11597634}));
  BOOST_TEST((hash_key(one, secret) != hash_key(one, reference)));
}

BOOST_AUTO_TEST_CASE(a_key_map_is_full_when_its_memory_is_and_goes_on_with_what_it_has) {
  KeyMap map(24 * 100, secret);
  std::int64_t offset = 0;
  while (map.put(as_view(fmt::format("key-{}", offset)), Offset{offset})) ++offset;
  BOOST_TEST(offset == 90);
  BOOST_TEST(map.size() == 90u);
  BOOST_TEST(!map.latest(as_view("key-90")).has_value());
  BOOST_TEST(map.put(as_view("key-7"), Offset{1000}));
  BOOST_TEST(map.latest(as_view("key-7"))->value() == 1000);
  BOOST_TEST(map.latest(as_view("key-8"))->value() == 8);
}

BOOST_AUTO_TEST_CASE(the_latest_record_of_each_key_stays_with_its_offset_and_timestamp) {
  Cleaner cleaner{{batch_of(0, {"a=1", "b=1", "a=2"}), batch_of(3, {"c=1"}), batch_of(4, {"b=2"})}};
  BOOST_TEST(cleaner.run(0));
  BOOST_TEST(cleaner.texts() == (Texts{"2:a=2", "3:c=1", "4:b=2"}));
  const BatchHeader header = check_batch(cleaner.batches[0]).value();
  BOOST_TEST(header.base_offset.value() == 0);
  BOOST_TEST(header.next_offset().value() == 3);
  BOOST_TEST(header.leader_epoch.value() == 3);
  BOOST_TEST(header.max_timestamp == 1002);
  BOOST_TEST(decode_records(cleaner.batches[0]).value()[0].timestamp == 1002);
}

BOOST_AUTO_TEST_CASE(a_batch_of_which_all_stays_keeps_its_bytes) {
  const Bytes batch = batch_of(0, {"a=1", "b=1"});
  Cleaner cleaner{{batch, batch_of(2, {"c=1"})}};
  cleaner.run(0);
  BOOST_TEST((cleaner.batches[0] == batch));
}

BOOST_AUTO_TEST_CASE(a_batch_stays_compressed_as_it_was) {
  for (const Codec codec : {Codec::gzip, Codec::snappy, Codec::lz4, Codec::zstd}) {
    BatchHeader header;
    header.attributes = static_cast<std::int16_t>(codec);
    Cleaner cleaner{{batch_of(0, {"a=1", "b=1"}, header), batch_of(2, {"a=2"}, header)}};
    cleaner.run(0);
    BOOST_TEST(cleaner.texts() == (Texts{"1:b=1", "2:a=2"}));
    BOOST_TEST((check_batch(cleaner.batches[0]).value().codec() == codec));
  }
}

BOOST_AUTO_TEST_CASE(a_tombstone_goes_only_after_its_retention_and_in_a_later_pass) {
  Cleaner cleaner{{batch_of(0, {"a=1", "b=1"}), batch_of(2, {"a"}), batch_of(3, {"z=1"})}};
  cleaner.run(5000);
  BOOST_TEST(cleaner.texts() == (Texts{"1:b=1", "2:a", "3:z=1"}));
  const BatchHeader header = check_batch(cleaner.batches[1]).value();
  BOOST_TEST(header.has_delete_horizon());
  BOOST_TEST(header.base_timestamp == 5100);
  BOOST_TEST(decode_records(cleaner.batches[1]).value()[0].timestamp == 1002);
  cleaner.run(5099);
  BOOST_TEST(cleaner.texts() == (Texts{"1:b=1", "2:a", "3:z=1"}));
  BOOST_TEST(check_batch(cleaner.batches[1]).value().base_timestamp == 5100);
  cleaner.run(5100);
  BOOST_TEST(cleaner.texts() == (Texts{"1:b=1", "3:z=1"}));
}

// A follower gets batches whose horizon its leader has set long ago.
BOOST_AUTO_TEST_CASE(a_tombstone_that_comes_with_a_past_horizon_stays_for_its_first_pass) {
  BatchHeader header;
  header.attributes = BatchHeader::delete_horizon_bit;
  Cleaner cleaner{{batch_of(0, {"a=1"}), batch_of(1, {"a"}, header), batch_of(2, {"z=1"})}};
  cleaner.run(1'000'000);
  BOOST_TEST(cleaner.texts() == (Texts{"1:a", "2:z=1"}));
  cleaner.run(1'000'000);
  BOOST_TEST(cleaner.texts() == (Texts{"2:z=1"}));
}

BOOST_AUTO_TEST_CASE(a_value_after_a_tombstone_stays) {
  Cleaner cleaner{{batch_of(0, {"a=1", "a", "a=2"}), batch_of(3, {"z=1"})}};
  cleaner.run(0);
  cleaner.run(1'000'000);
  BOOST_TEST(cleaner.texts() == (Texts{"2:a=2", "3:z=1"}));
}

BOOST_AUTO_TEST_CASE(what_did_not_fit_the_map_waits_for_the_next_pass) {
  Cleaner cleaner{{batch_of(0, {"a=1", "b=1", "a=2"}), batch_of(3, {"c=1", "b=2", "c=2"}),
                   batch_of(6, {"a=3", "d=1"})}};
  cleaner.map_bytes = 24 * 3;  // Two keys.
  BOOST_TEST(!cleaner.run(0));
  BOOST_TEST(cleaner.clean_end.value() == 3);
  BOOST_TEST(cleaner.texts() ==
             (Texts{"1:b=1", "2:a=2", "3:c=1", "4:b=2", "5:c=2", "6:a=3", "7:d=1"}));
  BOOST_TEST(!cleaner.run(0));
  BOOST_TEST(cleaner.clean_end.value() == 6);
  BOOST_TEST(cleaner.texts() == (Texts{"2:a=2", "4:b=2", "5:c=2", "6:a=3", "7:d=1"}));
  BOOST_TEST(cleaner.run(0));
  BOOST_TEST(cleaner.texts() == (Texts{"4:b=2", "5:c=2", "6:a=3", "7:d=1"}));
}

BOOST_AUTO_TEST_CASE(a_map_that_is_full_within_a_batch_goes_on_within_it) {
  Cleaner cleaner{{batch_of(0, {"a=1", "b=1", "a=2", "c=1", "a=3", "b=2"})}};
  cleaner.map_bytes = 24 * 3;
  BOOST_TEST(!cleaner.run(0));
  BOOST_TEST(cleaner.clean_end.value() == 3);
  BOOST_TEST(cleaner.texts() == (Texts{"1:b=1", "2:a=2", "3:c=1", "4:a=3", "5:b=2"}));
  BOOST_TEST(!cleaner.run(0));
  BOOST_TEST(cleaner.run(0));
  BOOST_TEST(cleaner.texts() == (Texts{"3:c=1", "4:a=3", "5:b=2"}));
}

BOOST_AUTO_TEST_CASE(records_without_a_key_go) {
  Cleaner cleaner{{batch_of(0, {"=1", "a=1"}), batch_of(2, {"b=1"})}};
  cleaner.run(0);
  BOOST_TEST(cleaner.texts() == (Texts{"1:a=1", "2:b=1"}));
}

BOOST_AUTO_TEST_CASE(control_batches_stay_and_transactions_supersede_nothing) {
  BatchHeader transactional;
  transactional.attributes = 0x10;
  transactional.producer_id = ProducerId{7};
  BatchHeader control = transactional;
  control.attributes = 0x30;
  const Bytes marker = batch_of(4, {"commit=1"}, control);
  Cleaner cleaner{{batch_of(0, {"a=1"}), batch_of(1, {"a=2", "b"}, transactional),
                   batch_of(3, {"b=1"}), marker, batch_of(5, {"commit=2"})}};
  cleaner.run(0);
  BOOST_TEST(cleaner.texts() == (Texts{"0:a=1", "1:a=2", "3:b=1", "4:commit=1", "5:commit=2"}));
  BOOST_TEST((cleaner.batches[3] == marker));
}

BOOST_AUTO_TEST_CASE(the_last_batch_of_a_producer_stays_as_an_empty_one) {
  BatchHeader seventh;
  seventh.producer_id = ProducerId{7};
  seventh.producer_epoch = 2;
  seventh.base_sequence = 40;
  BatchHeader eighth = seventh;
  eighth.producer_id = ProducerId{8};
  Cleaner cleaner{{batch_of(0, {"a=1"}, seventh), batch_of(1, {"a=2", "b=1"}, seventh),
                   batch_of(3, {"a=3", "b=2"}, eighth), batch_of(5, {"a=4"}, eighth),
                   batch_of(6, {"z=1"})}};
  cleaner.run(0);
  BOOST_TEST(cleaner.texts() == (Texts{"4:b=2", "5:a=4", "6:z=1"}));
  BOOST_REQUIRE(cleaner.batches.size() == 4u);
  const BatchHeader tail = check_batch(cleaner.batches[0]).value();
  BOOST_TEST(tail.base_offset.value() == 1);
  BOOST_TEST(tail.next_offset().value() == 3);
  BOOST_TEST(tail.record_count == 0);
  BOOST_TEST(tail.producer_id.value() == 7);
  BOOST_TEST(tail.producer_epoch == 2);
  BOOST_TEST(tail.base_sequence == 40);
  BOOST_TEST(tail.max_timestamp == 1002);
  // It stays for as long as the producer has written nothing else.
  cleaner.run(0);
  BOOST_TEST(cleaner.batches.size() == 4u);
  cleaner.batches.push_back(batch_of(7, {"y=1"}, seventh));
  cleaner.run(0);
  BOOST_TEST(cleaner.batches.size() == 4u);
}

BOOST_AUTO_TEST_CASE(the_end_of_what_is_cleaned_is_kept_as_an_empty_batch) {
  DirtyKeys keys(plenty, secret, Offset{0});
  BOOST_TEST(keys.map_keys(batch_of(0, {"a=1"})).value());
  BOOST_TEST(keys.map_keys(batch_of(1, {"a=2"})).value());
  const ProducerTails producers;
  const CompactionPass pass{keys, producers, WallMillis(0), WallMillis(0)};
  BOOST_TEST((clean_batch(batch_of(0, {"a=1"}), pass, false).value().fate == Fate::dropped));
  const CleanedBatch cleaned = clean_batch(batch_of(0, {"a=1"}), pass, true).value();
  BOOST_TEST((cleaned.fate == Fate::rewritten));
  BOOST_TEST(check_batch(cleaned.bytes).value().record_count == 0);
  BOOST_TEST((clean_batch(cleaned.bytes, pass, true).value().fate == Fate::kept));
  BOOST_TEST((clean_batch(cleaned.bytes, pass, false).value().fate == Fate::dropped));
}

BOOST_AUTO_TEST_CASE(a_batch_that_does_not_decode_is_an_error_and_not_lost) {
  BatchHeader header;
  header.attributes = static_cast<std::int16_t>(Codec::zstd);
  header.last_offset_delta = 0;
  Bytes batch = encode_batch({keyed_record("a=1", 0)}, header);
  DirtyKeys keys(plenty, secret, Offset{0});
  BOOST_TEST((keys.map_keys(batch).error().code == Errc::corrupt));
}

// A reader from the start, after any number of passes, ends with what it would have had without.
BOOST_AUTO_TEST_CASE(a_reader_from_the_start_ends_with_the_same_values_after_any_passes) {
  for (std::uint64_t seed = 1; seed <= 300; ++seed) {
    BOOST_TEST_CONTEXT("seed " << seed) {
      Prng random(seed);
      Cleaner cleaner;
      cleaner.map_bytes = 24 * (2 + random.below(20));
      std::map<std::string, std::string> expected;
      std::int64_t end = 0;
      std::int64_t now = 0;
      for (int round = 0; round < 12; ++round) {
        for (std::uint64_t b = 0; b < 1 + random.below(4); ++b) {
          std::vector<std::string> texts;
          for (std::uint64_t r = 0; r < 1 + random.below(4); ++r) {
            const std::string key = fmt::format("k{}", random.below(8));
            const bool deleted = random.chance(0.3);
            const std::string value = std::to_string(random.below(100));
            if (deleted) expected.erase(key);
            if (!deleted) expected[key] = value;
            texts.push_back(deleted ? key : fmt::format("{}={}", key, value));
          }
          cleaner.batches.push_back(
              batch_of(end, std::vector<std::string_view>(texts.begin(), texts.end())));
          end += static_cast<std::int64_t>(texts.size());
        }
        now += static_cast<std::int64_t>(random.below(150));
        cleaner.run(now);
        std::map<std::string, std::string> seen;
        for (const Bytes& batch : cleaner.batches) {
          const std::vector<Record> records = decode_records(batch).value();
          for (const Record& record : records) {
            const std::string key(as_text(*record.key));
            if (record.value) seen[key] = as_text(*record.value);
            if (!record.value) seen.erase(key);
          }
        }
        BOOST_REQUIRE((seen == expected));
        BOOST_REQUIRE(check_batch(cleaner.batches.back()).value().next_offset().value() == end);
      }
    }
  }
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace qlab::storage
