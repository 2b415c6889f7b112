#include "common/compression.h"

#include <array>

#include <boost/test/unit_test.hpp>

#include "common/prng.h"

namespace qlab {
namespace {

constexpr std::array codecs{Codec::gzip, Codec::snappy, Codec::lz4, Codec::zstd};
constexpr std::size_t plenty = 16u << 20;

Bytes from_hex(std::string_view text) {
  Bytes bytes;
  for (std::size_t i = 0; i < text.size(); i += 2) {
    bytes.push_back(static_cast<std::byte>(std::stoi(std::string(text.substr(i, 2)), nullptr, 16)));
  }
  return bytes;
}

// Runs and noise in turn, so that every codec has literals and copies to write.
Bytes draw_bytes(std::size_t size) {
  Prng random(size + 1);
  Bytes bytes;
  while (bytes.size() < size) {
    const std::size_t run = std::min(size - bytes.size(), std::size_t{1} + random.below(200));
    const bool noise = random.chance(0.5);
    for (std::size_t i = 0; i < run; ++i) {
      bytes.push_back(static_cast<std::byte>(noise ? random.next() : run));
    }
  }
  return bytes;
}

struct Golden {
  Codec codec;
  std::string_view hex;
};

// Batches that kafka-python 2.0.2 built: records i = 0..19 at 1'700'000'000'000 + i, with the key
// `key-<i mod 3>` and the value `value value value`.
// clang-format off
constexpr std::array<Golden, 4> golden{{
    {Codec::gzip,
     "0000000000000000000000b00000000002cddb23530001000000130000018bcfe568000000018bcfe56813ffff"
     "ffffffffffffffffffffffff000000141f8b0800f0e7006b02ff7dccb10a80201845e11f891011111111891089"
     "b6a09a7c9d06a75a0b7afbc0a9a1ee7296035f2622b1977b9ad3b51d6789af5226c6ea5c3e67d3d4b97eceb605"
     "2ce7801502b052025629c06a0d5863006b2d609d03acf7800d01b05d07d8be076c8c804d09b0c300d871fc651f"
     "9f4cb05044020000"},
    {Codec::snappy,
     "0000000000000000000000fa00000000020b99147e0002000000130000018bcfe568000000018bcfe56813ffff"
     "ffffffffffffffffffffffff0000001482534e41505059000000000100000001000000b5c40440380000000a6b"
     "65792d302276616c7565201d06100038000202051d0031521d00040404051d0032521d00040606051d56570004"
     "0808051d565700040a0a051d565700040c0c051d565700040e0e051d565700041010051d565700041212051d56"
     "5700041414051d565700041616051d565700041818051d565700041a1a051d565700041c1c051d565700041e1e"
     "051d565700042020051d565700042222051d565700042424051d565700042626051d4e5700"},
    {Codec::lz4,
     "0000000000000000000001120000000002cd549e500003000000130000018bcfe568000000018bcfe56813ffff"
     "ffffffffffffffffffffffff0000001404224d186840440200000000000033ca000000f702380000000a6b6579"
     "2d302276616c75652006005100380002021d001f311d00022104041d001f321d00022106061d000f5700032108"
     "081d000f570003210a0a1d000f570003210c0c1d000f570003210e0e1d000f5700032110101d000f5700032112"
     "121d000f5700032114141d000f5700032116161d000f5700032118181d000f570003211a1a1d000f570003211c"
     "1c1d000f570003211e1e1d000f5700032120201d000f5700032122221d000f5700032124241d000f5700032126"
     "261d000b570050616c75650000000000"},
    {Codec::zstd,
     "0000000000000000000000be0000000002d724f6f10004000000130000018bcfe568000000018bcfe56813ffff"
     "ffffffffffffffffffffffff0000001428b52ffd6044011d0400d2c4111790250f00acc7c1b0ff1f5f4977d6b2"
     "6aa6e5d4ac4a720a5e6b53fa73ba941de343e8efb573df9a33d66bbd529e5223f4e7b8315dca13e263b065790b"
     "4200cc0e027738cc6c032720f09531292e7cd6b6172d3e6bdb8b163f6bdb8b169fb5ed458bcfdaf6628bcfdaf6"
     "a2c5676d7bd1e2b3b67dd1e2b3b6991720353db15c02"},
}};
// clang-format on

BOOST_AUTO_TEST_SUITE(compression)

BOOST_AUTO_TEST_CASE(batches_of_another_implementation_are_read) {
  for (const Golden& each : golden) {
    BOOST_TEST_CONTEXT("codec " << static_cast<int>(each.codec)) {
      const Bytes batch = from_hex(each.hex);
      BOOST_TEST((check_batch(batch).value().codec() == each.codec));
      const std::vector<Record> records = decode_records(batch).value();
      BOOST_REQUIRE(records.size() == 20u);
      for (std::size_t i = 0; i < records.size(); ++i) {
        BOOST_TEST(records[i].offset_delta == static_cast<std::int32_t>(i));
        BOOST_TEST(records[i].timestamp == 1'700'000'000'000 + static_cast<std::int64_t>(i));
        BOOST_TEST(as_text(*records[i].key) == fmt::format("key-{}", i % 3));
        BOOST_TEST(as_text(*records[i].value) == "value value value");
      }
    }
  }
}

BOOST_AUTO_TEST_CASE(bytes_of_any_size_come_back_from_every_codec) {
  for (const Codec codec : codecs) {
    for (const std::size_t size : {0, 1, 100, 32768, 65536, 65537, 1'000'000}) {
      BOOST_TEST_CONTEXT("codec " << static_cast<int>(codec) << ", " << size << " bytes") {
        const Bytes bytes = draw_bytes(size);
        const Bytes packed = compress(codec, bytes).value();
        BOOST_TEST((decompress(codec, packed, size).value() == bytes));
      }
    }
  }
}

BOOST_AUTO_TEST_CASE(a_bomb_is_an_error_that_names_the_bound) {
  const Bytes zeros(8u << 20);
  for (const Codec codec : codecs) {
    BOOST_TEST_CONTEXT("codec " << static_cast<int>(codec)) {
      const Bytes packed = compress(codec, zeros).value();
      BOOST_TEST((decompress(codec, packed, zeros.size()).value() == zeros));
      for (const std::size_t bytes_max : {std::size_t{0}, std::size_t{1000}, zeros.size() - 1}) {
        const auto unpacked = decompress(codec, packed, bytes_max);
        BOOST_REQUIRE(!unpacked.has_value());
        BOOST_TEST((unpacked.error().code == Errc::corrupt));
        BOOST_TEST(unpacked.error().context ==
                   fmt::format("compressed records stand for more than {} bytes", bytes_max));
      }
    }
  }
}

BOOST_AUTO_TEST_CASE(a_snappy_block_that_only_claims_a_size_takes_no_memory) {
  // Length 2^30 as a varint, and nothing behind it.
  const auto unpacked = decompress(Codec::snappy, from_hex("8080808004"), std::size_t{1} << 31);
  BOOST_REQUIRE(!unpacked.has_value());
  BOOST_TEST(unpacked.error().context ==
             "records compressed with snappy are malformed: a block does not decode");
}

BOOST_AUTO_TEST_CASE(bytes_that_are_cut_anywhere_are_an_error) {
  const Bytes bytes = draw_bytes(3000);
  for (const Codec codec : codecs) {
    const Bytes packed = compress(codec, bytes).value();
    for (std::size_t size = 0; size < packed.size(); ++size) {
      // A framed snappy stream that ends behind its header, or between blocks, is a shorter one.
      if (codec == Codec::snappy && size == 16) continue;
      BOOST_TEST_CONTEXT("codec " << static_cast<int>(codec) << ", cut at " << size) {
        const auto unpacked = decompress(codec, ByteView(packed).first(size), plenty);
        BOOST_REQUIRE(!unpacked.has_value());
        BOOST_TEST((unpacked.error().code == Errc::corrupt));
      }
    }
  }
}

BOOST_AUTO_TEST_CASE(damaged_bytes_never_give_more_than_the_bound) {
  const Bytes bytes = draw_bytes(3000);
  Prng random(7);
  for (const Codec codec : codecs) {
    const Bytes packed = compress(codec, bytes).value();
    for (int i = 0; i < 500; ++i) {
      Bytes damaged = packed;
      for (int flips = 0; flips < 3; ++flips) {
        damaged[random.below(damaged.size())] ^= static_cast<std::byte>(1 << random.below(8));
      }
      const auto unpacked = decompress(codec, damaged, 4000);
      BOOST_TEST((!unpacked || unpacked->size() <= 4000u));
    }
  }
}

BOOST_AUTO_TEST_CASE(raw_snappy_and_several_gzip_members_are_read) {
  // Length 3, a literal of 3 bytes.
  BOOST_TEST(as_text(decompress(Codec::snappy, from_hex("0308616263"), 3).value()) == "abc");
  Bytes two = compress(Codec::gzip, as_view("ab")).value();
  const Bytes second = compress(Codec::gzip, as_view("cd")).value();
  two.insert(two.end(), second.begin(), second.end());
  BOOST_TEST(as_text(decompress(Codec::gzip, two, 4).value()) == "abcd");
}

BOOST_AUTO_TEST_CASE(an_unknown_codec_is_an_error) {
  BOOST_TEST((compress(Codec{5}, {}).error().code == Errc::unsupported));
  BOOST_TEST((decompress(Codec{7}, {}, 1).error().code == Errc::unsupported));
}

BOOST_AUTO_TEST_CASE(a_batch_is_rebuilt_with_what_its_header_says) {
  for (const Golden& each : golden) {
    const Bytes batch = from_hex(each.hex);
    BatchHeader header = check_batch(batch).value();
    std::vector<Record> records = decode_records(batch).value();
    std::erase_if(records, [](const Record& record) { return record.offset_delta % 4 != 1; });
    header.producer_id = ProducerId{9};
    header.base_timestamp += 1'000'000;
    header.attributes |= BatchHeader::delete_horizon_bit;
    const Bytes rebuilt = rebuild_batch(header, records).value();
    const BatchHeader after = check_batch(rebuilt).value();
    BOOST_TEST(after.last_offset_delta == 19);
    BOOST_TEST(after.record_count == 5);
    BOOST_TEST((after.codec() == each.codec));
    BOOST_TEST(after.has_delete_horizon());
    BOOST_TEST(after.producer_id.value() == 9);
    const std::vector<Record> kept = decode_records(rebuilt).value();
    BOOST_REQUIRE(kept.size() == 5u);
    BOOST_TEST(kept[4].offset_delta == 17);
    BOOST_TEST(kept[4].timestamp == 1'700'000'000'017);
    const BatchHeader empty = check_batch(rebuild_batch(header, {}).value()).value();
    BOOST_TEST(empty.last_offset_delta == 19);
    BOOST_TEST(empty.record_count == 0);
    BOOST_TEST((empty.codec() == Codec::none));
  }
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace qlab
