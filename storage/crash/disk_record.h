#pragma once
// A disk that remembers: every write and flush in their order, and between them what was said
// outside (acknowledgements). From that it can be again what it was at any moment of the past, or
// what a power cut at that moment may have left.
//
// What was written before a flush is durable; of later writes a power cut keeps any subset of
// sectors.

#include <array>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "common/bytes.h"
#include "common/prng.h"

namespace qlab::storage {

class DiskRecord {
 public:
  static constexpr std::size_t sector_bytes = 512;

  explicit DiskRecord(std::size_t size) : image_(size) {}

  std::size_t size() const { return image_.size(); }

  // Requires: the range lies within the disk, for these two.
  void read(std::uint64_t position, std::span<std::byte> into) const;
  void write(std::uint64_t position, ByteView bytes);
  void flush();
  void say(std::string_view text);

  // From here on there is a past: what the disk holds now is its beginning.
  void begin();
  // The disk as it was after `events` events, with all that was written by then; changes to it are
  // kept aside from now on. Requires: begun; events <= event_count().
  void go_to(std::size_t events);
  // The same after a power cut: the writes since the last flush survive in part, as the seed draws.
  void go_to_power_cut(std::size_t events, std::uint64_t seed);

  std::size_t event_count() const { return events_.size(); }
  // The numbers of events after which a flush, or something said, was the last.
  const std::vector<std::size_t>& flushes() const { return flushes_; }
  const std::vector<std::size_t>& said() const { return said_; }
  // Where in text() what was said before each of said() ends.
  std::vector<std::size_t> said_ends() const;
  // All that was said, or what was said by the moment that the disk is at.
  std::string_view text() const { return std::string_view(text_).substr(0, text_end_); }

 private:
  static constexpr std::size_t page_bytes = 4096;
  using Page = std::array<std::byte, page_bytes>;
  enum class Phase : std::uint8_t { preparing, recording, past };

  struct Event {
    bool is_write = false;
    std::uint64_t position = 0;
    Bytes bytes;
    std::size_t text_end = 0;  // Of what was said so far.
  };

  std::size_t last_flush_before(std::size_t events) const;
  void move_base(std::size_t events);
  void keep_aside(std::uint64_t position, ByteView bytes);
  void keep_sectors_aside(const Event& event, Prng& random);

  Phase phase_ = Phase::preparing;
  Bytes image_;  // While recording the disk; of the past, as of `base_` events.
  std::size_t base_ = 0;
  Bytes beginning_;
  std::vector<Event> events_;
  std::vector<std::size_t> flushes_;
  std::vector<std::size_t> said_;
  std::string text_;
  std::size_t text_end_ = 0;
  std::unordered_map<std::uint64_t, std::unique_ptr<Page>> aside_;  // Over the image, by page.
};

}  // namespace qlab::storage
