#include <cerrno>

#include <unistd.h>

#include "runtime/real/real_file.h"

namespace qlab::runtime {
namespace {

Result<void> sync_data(int fd, const std::string& name) {
  if (::fdatasync(fd) != 0) return fail(errno_error(errno, fmt::format("sync {}", name)));
  return {};
}

class BlockingFile final : public RealFile {
 public:
  using RealFile::RealFile;

 protected:
  Task<Result<void>> do_write(std::uint64_t position, std::vector<ByteView> pieces) override {
    if (!fd_.is_open()) co_return fail(Errc::closed, "write {}", name_);
    co_return write_all(fd_.get(), position, pieces, name_);
  }

  Task<Result<void>> do_sync() override {
    CO_TRY_VOID(may_sync());
    auto job = [fd = fd_.get(), name = name_] { return sync_data(fd, name); };
    auto outcome = co_await parts_.helper.run(std::move(job));
    co_return remember(std::move(outcome));
  }

  Task<Result<void>> do_write_durably(std::uint64_t position,
                                      std::vector<ByteView> pieces) override {
    CO_TRY_VOID(may_sync());
    CO_TRY_VOID(write_all(fd_.get(), position, pieces, name_));
    co_return co_await do_sync();
  }

  Task<Result<Bytes>> do_read(std::uint64_t position, std::size_t count) override {
    if (!fd_.is_open()) co_return fail(Errc::closed, "read {}", name_);
    co_return read_up_to(fd_.get(), position, count, name_);
  }
};

}  // namespace

std::unique_ptr<File> make_blocking_file(Fd fd, std::string name, DiskParts& parts) {
  return std::make_unique<BlockingFile>(std::move(fd), std::move(name), parts);
}

}  // namespace qlab::runtime
