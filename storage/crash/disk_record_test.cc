#include "storage/crash/disk_record.h"

#include <boost/test/unit_test.hpp>

namespace qlab::storage {
namespace {

constexpr std::size_t sector = DiskRecord::sector_bytes;

std::string sector_at(const DiskRecord& record, std::size_t index) {
  Bytes bytes(sector);
  record.read(index * sector, bytes);
  return std::string(as_text(bytes).substr(0, 1));
}

Bytes sectors_of(char letter, std::size_t count) {
  return Bytes(count * sector, static_cast<std::byte>(letter));
}

// a, flush, "x", b over a and c behind it, "y".
DiskRecord recorded() {
  DiskRecord record(64 * sector);
  record.write(0, sectors_of('0', 4));
  record.begin();
  record.write(0, sectors_of('a', 1));
  record.flush();
  record.say("x");
  record.write(0, sectors_of('b', 1));
  record.write(sector, sectors_of('c', 2));
  record.say("y");
  return record;
}

BOOST_AUTO_TEST_SUITE(disk_record)

BOOST_AUTO_TEST_CASE(the_disk_can_be_what_it_was_after_any_event) {
  DiskRecord record = recorded();
  BOOST_TEST(record.event_count() == 6u);
  BOOST_TEST(sector_at(record, 0) == "b");
  const std::vector<std::size_t> ends{1, 2};
  BOOST_TEST(record.said_ends() == ends);
  record.go_to(0);
  BOOST_TEST(sector_at(record, 0) == "0");
  BOOST_TEST(record.text() == "");
  record.go_to(4);
  BOOST_TEST(sector_at(record, 0) == "b");
  BOOST_TEST(sector_at(record, 1) == "0");
  BOOST_TEST(record.text() == "x");
  record.go_to(1);
  BOOST_TEST(sector_at(record, 0) == "a");
  record.go_to(6);
  BOOST_TEST(sector_at(record, 2) == "c");
  BOOST_TEST(record.text() == "xy");
}

BOOST_AUTO_TEST_CASE(a_power_cut_keeps_what_was_flushed_and_any_part_of_the_rest) {
  DiskRecord record = recorded();
  bool old_first = false;
  bool new_first = false;
  bool torn = false;
  for (std::uint64_t seed = 0; seed < 200; ++seed) {
    record.go_to_power_cut(6, seed);
    const std::string first = sector_at(record, 0);
    const bool known = first == "a" || first == "b";
    BOOST_TEST(known);
    old_first = old_first || first == "a";
    new_first = new_first || first == "b";
    torn = torn || sector_at(record, 1) != sector_at(record, 2);
    BOOST_TEST(record.text() == "xy");
  }
  BOOST_TEST(old_first);
  BOOST_TEST(new_first);
  BOOST_TEST(torn);
}

BOOST_AUTO_TEST_CASE(what_is_written_to_the_past_is_forgotten_when_the_disk_goes_elsewhere) {
  DiskRecord record = recorded();
  record.go_to(2);
  record.write(sector / 2, sectors_of('z', 1));
  BOOST_TEST(sector_at(record, 1) == "z");
  BOOST_TEST(sector_at(record, 0) == "a");
  record.go_to(2);
  BOOST_TEST(sector_at(record, 1) == "0");
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace qlab::storage
