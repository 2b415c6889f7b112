#include "consensus/node/register.h"

#include <utility>

namespace qlab::consensus::node {
namespace {

class Image final : public SnapshotSource {
 public:
  explicit Image(Bytes bytes) : bytes_(std::move(bytes)) {}
  Bytes next(std::size_t) override { return std::exchange(bytes_, {}); }

 private:
  Bytes bytes_;
};

}  // namespace

// count:u64 has_value:u8 value
std::unique_ptr<SnapshotSource> Register::snapshot() {
  BytesWriter out;
  out.put(count_);
  out.put(static_cast<std::uint8_t>(last_ != nullptr));
  out.put_bytes(last());
  return std::make_unique<Image>(out.take());
}

Result<void> Register::restored() {
  BytesReader in(image_);
  const auto count = in.get<std::uint64_t>();
  const bool has_value = in.get<std::uint8_t>() == 1;
  const ByteView value = in.get_bytes(in.left());
  TRY_VOID(in.status());
  count_ = count;
  last_ = has_value ? std::make_shared<const Bytes>(value.begin(), value.end()) : nullptr;
  return {};
}

}  // namespace qlab::consensus::node
