#include "storage/engines/factories.h"
#include "storage/engines/volatile_engine.h"

namespace qlab::storage {
namespace {

// Counts bytes and drops them. A read is an error and not a buffer of zeros: whoever checks what it
// reads would call zeros corrupt, and whoever does not would believe them.
class NullFile {
 public:
  void append(ByteView bytes) { size_ += bytes.size(); }
  Result<Bytes> read(std::string_view path, std::uint64_t, std::size_t) const {
    return fail(Errc::unsupported, "{}: engine null keeps no bytes that could be read", path);
  }
  void truncate(std::uint64_t size) { size_ = size; }
  std::uint64_t size() const { return size_; }

 private:
  std::uint64_t size_ = 0;
};

}  // namespace

std::unique_ptr<Engine> make_null_engine(runtime::Runtime&, const EngineOptions&) {
  return std::make_unique<VolatileEngine<NullFile>>("null", false);
}

}  // namespace qlab::storage
