#pragma once
// A third codec beside encoder.h and decoder.h: it fills the fields that a version carries with
// seeded values.

#include <cstdint>
#include <deque>
#include <optional>
#include <string>
#include <type_traits>
#include <vector>

#include "common/bytes.h"
#include "common/prng.h"
#include "common/strong_id.h"
#include "common/uuid.h"
#include "wire/kafka/tag.h"

namespace qlab::wire {

class Filler {
 public:
  Filler(std::uint64_t seed, std::int16_t version) : prng_(seed), version_(version) {}

  std::int16_t version() const { return version_; }
  void leave_tags_unset() { sets_tags_ = false; }

  template <class T>
  requires std::is_arithmetic_v<T>
  void value(const char*, T& field) {
    if constexpr (std::same_as<T, bool>) {
      field = prng_.chance(0.5);
    } else if constexpr (std::floating_point<T>) {
      field = prng_.unit();
    } else {
      field = static_cast<T>(prng_.next());
    }
  }
  template <class T>
  requires std::is_enum_v<T>
  void value(const char*, T& field) { field = static_cast<T>(prng_.next()); }
  template <class Tag, class Rep>
  void value(const char*, StrongId<Tag, Rep>& field) {
    field = StrongId<Tag, Rep>(static_cast<Rep>(prng_.next()));
  }
  void value(const char*, Uuid& field) { field = {prng_.next(), prng_.next()}; }
  void value(const char*, std::string& field) {
    // Some are longer than a one-byte length can say.
    field.assign(prng_.below(prng_.chance(0.1) ? 300 : 12), 'x');
    for (char& c : field) c = static_cast<char>(prng_.between('a', 'z'));
  }
  void value(const char*, Bytes& field) { field = random_bytes(); }
  void value(const char*, ByteView& field) { field = records_.emplace_back(random_bytes()); }
  template <class T>
  void value(const char* name, std::vector<T>& field) {
    field.resize(prng_.below(4));
    for (T& element : field) value(name, element);
  }
  template <class T>
  requires is_struct<T>
  void value(const char*, T& field) { T::each_field(*this, field); }

  template <class T>
  void nullable(const char* name, std::optional<T>& field, bool null_allowed) {
    field.reset();
    if (!null_allowed || prng_.chance(0.7)) value(name, field.emplace());
  }
  void absent(const char*, bool) {}
  template <class... Fields>
  void tags(const Tag<Fields>&... tags) {
    (set(tags), ...);
  }

 private:
  template <class Field>
  void set(const Tag<Field>& tag) {
    if (sets_tags_ && tag.is_carried && prng_.chance(0.7)) tag.visit(*this);
  }
  Bytes random_bytes() {
    Bytes bytes(prng_.below(200));
    for (std::byte& byte : bytes) byte = static_cast<std::byte>(prng_.next());
    return bytes;
  }

  Prng prng_;
  std::int16_t version_;
  bool sets_tags_ = true;
  std::deque<Bytes> records_;  // What the filled views see.
};

}  // namespace qlab::wire
