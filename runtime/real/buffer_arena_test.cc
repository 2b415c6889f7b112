#include "runtime/real/buffer_arena.h"

#include <algorithm>

#include <boost/test/unit_test.hpp>

#include "common/prng.h"

namespace qlab::runtime {
namespace {

using Buffers = std::vector<std::unique_ptr<IoBuffer>>;

std::unique_ptr<IoBuffer> make(BufferArena& arena, std::size_t size) {
  auto buffer = arena.make(size, nullptr);
  BOOST_REQUIRE(buffer.has_value());
  BOOST_REQUIRE((*buffer)->bytes().size() == size);
  return std::move(*buffer);
}

}  // namespace

BOOST_AUTO_TEST_SUITE(buffer_arena)

// Against what each owner wrote: whoever is given what another has would change it.
BOOST_AUTO_TEST_CASE(no_two_buffers_share_memory) {
  BufferArena arena;
  Prng random(1);
  Buffers buffers(200);
  for (int step = 0; step < 5000; ++step) {
    const std::size_t at = random.below(buffers.size());
    const auto mark = static_cast<std::byte>(at);
    if (buffers[at] == nullptr) {
      buffers[at] = make(arena, (1 + random.below(64)) * direct_alignment);
      const auto address = reinterpret_cast<std::uintptr_t>(buffers[at]->bytes().data());
      BOOST_REQUIRE(address % direct_alignment == 0);
      std::ranges::fill(buffers[at]->bytes(), mark);
    } else {
      const auto bytes = buffers[at]->bytes();
      BOOST_REQUIRE(std::ranges::count(bytes, mark) == std::ssize(bytes));
      buffers[at].reset();
    }
  }
}

BOOST_AUTO_TEST_CASE(what_is_given_back_becomes_one_again_in_any_order) {
  BufferArena arena;
  constexpr std::size_t parts = BufferArena::chunk_bytes / direct_alignment;
  for (const std::size_t stride : {std::size_t{1}, std::size_t{3}, parts - 1}) {
    Buffers buffers;
    for (std::size_t i = 0; i < parts; ++i) buffers.push_back(make(arena, direct_alignment));
    BOOST_TEST(arena.chunks() == 1u);
    for (std::size_t i = 0; i < parts; ++i) buffers[i * stride % parts].reset();
    const auto whole = make(arena, BufferArena::chunk_bytes);
    BOOST_TEST(arena.chunks() == 1u, "stride " << stride);
  }
}

BOOST_AUTO_TEST_CASE(memory_is_kept_for_a_few_chunks_and_given_up_beyond) {
  BufferArena arena;
  Buffers buffers;
  for (int i = 0; i < 20; ++i) buffers.push_back(make(arena, BufferArena::chunk_bytes));
  BOOST_TEST(arena.chunks() == 20u);
  buffers.clear();
  const auto large = make(arena, 2 * BufferArena::chunk_bytes + direct_alignment);
  BOOST_TEST(arena.chunks() == BufferArena::idle_chunks_max + 1);
  large->bytes().back() = std::byte{1};
}

BOOST_AUTO_TEST_CASE(a_buffer_may_outlive_the_arena) {
  auto arena = std::make_unique<BufferArena>();
  const auto buffer = make(*arena, direct_alignment);
  arena.reset();
  std::ranges::fill(buffer->bytes(), std::byte{1});
}

BOOST_AUTO_TEST_CASE(memory_that_is_not_to_be_had_is_an_error) {
  BufferArena arena;
  const auto buffer = arena.make(std::size_t{1} << 60, nullptr);
  BOOST_REQUIRE(!buffer.has_value());
  BOOST_TEST((buffer.error().code == Errc::no_space));
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace qlab::runtime
