#pragma once
// The one source of randomness: a small seeded generator, handed down from the runtime.
//
// Source: xoshiro256** by Blackman and Vigna, seeded through SplitMix64 as they advise. Every
// platform draws the same numbers from the same seed, which std::uniform_int_distribution does not
// promise.

#include <array>
#include <cstdint>

namespace qlab {

class Prng {
 public:
  explicit Prng(std::uint64_t seed);

  std::uint64_t next();
  // Uniform in [0, bound). Requires: bound > 0.
  std::uint64_t below(std::uint64_t bound);
  // Uniform in [low, high]. Requires: low <= high.
  std::int64_t between(std::int64_t low, std::int64_t high);
  double unit();  // Uniform in [0, 1).
  bool chance(double probability) { return unit() < probability; }
  // A generator of its own for a part, so that parts do not disturb each other's draws.
  Prng fork() { return Prng(next()); }

 private:
  std::array<std::uint64_t, 4> state_{};
};

}  // namespace qlab
