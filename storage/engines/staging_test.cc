// Staging against a file that is written block by block, in any order the disk likes.

#include "storage/engines/staging.h"

#include <algorithm>

#include <boost/test/unit_test.hpp>

#include "common/prng.h"
#include "storage/test_world.h"

namespace qlab::storage {
namespace {

constexpr std::uint64_t block = Staging::block_bytes;

class Trial {
 public:
  explicit Trial(std::uint64_t seed)
      : random_(seed), staging_(std::make_shared<StagingPool>(world_.runtime().disk()), 0) {}

  void run() {
    for (int i = 0; i < 400; ++i) {
      const std::uint64_t dice = random_.below(100);
      if (dice < 50) {
        append();
      } else if (dice < 70) {
        send();
      } else if (dice < 97) {
        land_one();
      } else {
        truncate();
      }
      check();
    }
  }

 private:
  void append() {
    Bytes bytes(1 + random_.below(random_.chance(0.1) ? 400'000 : 3000));
    for (std::byte& byte : bytes) byte = static_cast<std::byte>(random_.below(256));
    must(staging_.append(bytes));
    all_.insert(all_.end(), bytes.begin(), bytes.end());
  }

  // Never two writes of one block.
  void send() {
    const std::uint64_t wanted = random_.chance(0.8) ? staging_.end() : 0;
    while (const Staging::RunPtr run = staging_.next_due(wanted)) {
      for (const Sent& other : sent_) {
        const std::uint64_t end = other.run->first + other.blocks.size();
        BOOST_REQUIRE((run->first >= end || other.run->first >= run->end));
      }
      const ByteView blocks = run->blocks();
      BOOST_REQUIRE(run->first % block == 0);
      BOOST_REQUIRE(blocks.size() % block == 0);
      sent_.push_back({run, blocks, Bytes(blocks.begin(), blocks.end())});
    }
  }

  // Any of those in flight. Its memory is as it was when it was sent.
  void land_one() {
    if (sent_.empty()) return;
    const auto at = sent_.begin() + static_cast<std::ptrdiff_t>(random_.below(sent_.size()));
    const Sent sent = *at;
    sent_.erase(at);
    BOOST_REQUIRE(std::ranges::equal(sent.blocks, sent.bytes));
    if (random_.chance(0.1)) {
      staging_.take_back(*sent.run);
      return;
    }
    const auto first = static_cast<std::size_t>(sent.run->first);
    file_.resize(std::max(file_.size(), first + sent.bytes.size()));
    std::copy(sent.bytes.begin(), sent.bytes.end(),
              file_.begin() + static_cast<std::ptrdiff_t>(first));
    staging_.land(*sent.run);
  }

  void truncate() {
    while (!sent_.empty()) land_one();
    const std::uint64_t most = std::min<std::uint64_t>(staging_.end(), 10'000);
    const std::uint64_t end = staging_.end() - random_.below(most + 1);
    all_.resize(static_cast<std::size_t>(end));
    file_.resize(std::min(file_.size(), all_.size()));
    if (staging_.truncate(end)) return;
    const auto tail = static_cast<std::size_t>(end % block);
    BOOST_REQUIRE(file_.size() == all_.size());
    staging_.begin(end, ByteView(file_).last(tail));
  }

  void check() {
    BOOST_REQUIRE(staging_.end() == all_.size());
    const auto landed = static_cast<std::size_t>(staging_.landed());
    BOOST_REQUIRE(file_.size() >= landed);
    BOOST_REQUIRE(std::ranges::equal(ByteView(file_).first(landed), ByteView(all_).first(landed)));
    Bytes staged(all_.size() - landed);
    staging_.read(landed, staged);
    BOOST_REQUIRE(std::ranges::equal(staged, ByteView(all_).subspan(landed)));
  }

  struct Sent {
    Staging::RunPtr run;
    ByteView blocks;
    Bytes bytes;  // As they were.
  };

  SimulatedTestWorld world_;
  Prng random_;
  Staging staging_;
  Bytes all_;   // What was appended.
  Bytes file_;  // What has landed.
  std::vector<Sent> sent_;
};

BOOST_AUTO_TEST_SUITE(staging)

BOOST_AUTO_TEST_CASE(what_has_landed_is_in_the_file_whatever_order_writes_end_in) {
  for (std::uint64_t seed = 1; seed <= 40; ++seed) {
    BOOST_TEST_CONTEXT("seed " << seed) {
      Trial(seed).run();
    }
  }
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace qlab::storage
