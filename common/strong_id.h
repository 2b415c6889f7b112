#pragma once
// A number with a name: two ids of different tags neither compare nor convert into each other.

#include <compare>
#include <cstdint>
#include <functional>

#include <fmt/format.h>

namespace qlab {

template <class Tag, class Rep = std::int64_t>
class StrongId {
 public:
  using rep = Rep;

  constexpr StrongId() = default;
  constexpr explicit StrongId(Rep value) : value_(value) {}

  constexpr Rep value() const { return value_; }
  constexpr auto operator<=>(const StrongId&) const = default;

  // The next one: offsets, epochs and indexes are counted, so one step is the only sum they all
  // share.
  constexpr StrongId next() const { return StrongId(static_cast<Rep>(value_ + 1)); }
  constexpr StrongId prev() const { return StrongId(static_cast<Rep>(value_ - 1)); }
  constexpr StrongId plus(Rep count) const { return StrongId(static_cast<Rep>(value_ + count)); }

  // How many steps lie between two ids.
  friend constexpr Rep operator-(StrongId a, StrongId b) {
    return static_cast<Rep>(a.value_ - b.value_);
  }

  // For test reports; a template, so that no stream has to be included here.
  template <class Stream>
  friend Stream& operator<<(Stream& out, StrongId id) {
    out << id.value_;
    return out;
  }

 private:
  Rep value_ = 0;
};

}  // namespace qlab

template <class Tag, class Rep>
struct std::hash<qlab::StrongId<Tag, Rep>> {
  std::size_t operator()(qlab::StrongId<Tag, Rep> id) const noexcept {
    return std::hash<Rep>{}(id.value());
  }
};

template <class Tag, class Rep>
struct fmt::formatter<qlab::StrongId<Tag, Rep>> : fmt::formatter<Rep> {
  template <class Context>
  auto format(qlab::StrongId<Tag, Rep> id, Context& context) const {
    return fmt::formatter<Rep>::format(id.value(), context);
  }
};
