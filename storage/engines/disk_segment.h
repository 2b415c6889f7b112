#pragma once
// What every engine over runtime::File shares: gathered writes, group commit, poison.
//
// One write and one sync are in flight at a time, and may overlap each other. Appends that arrive
// during a write are gathered into the next one; syncs that arrive during a sync share the next
// one. So the queues hold one entry per caller that awaits, and need no capacity of their own.

#include <deque>
#include <optional>

#include "runtime/async.h"
#include "runtime/disk.h"
#include "storage/engine.h"

namespace qlab::storage {

class DiskSegment final : public Segment {
 public:
  DiskSegment(runtime::Runtime& runtime, std::string path, std::unique_ptr<runtime::File> file,
              std::uint64_t size);
  ~DiskSegment() override;

  Task<Result<void>> append(std::vector<ByteView> pieces) override;
  Task<Result<std::uint64_t>> sync() override;
  Task<Result<Bytes>> read(std::uint64_t position, std::size_t count) override;
  Task<Result<void>> truncate(std::uint64_t size) override;
  Task<Result<void>> rewrite(std::uint64_t position) override;
  std::uint64_t size() const override { return size_; }
  std::uint64_t durable_size() const override { return durable_size_; }
  void note_durable(std::uint64_t size) override;
  Task<Result<void>> close() override;

 private:
  struct Append;

  Task<void> write_group();
  Task<Result<void>> cut_partial_write(Error why);
  Task<Result<void>> sync_file();
  Task<Result<void>> write_again(std::uint64_t position);
  void next_writer();
  Error poison(std::string_view act, const Error& cause);

  runtime::Runtime& runtime_;
  const std::string path_;
  std::unique_ptr<runtime::File> file_;
  std::uint64_t size_;              // Bytes whose write has ended; file size, but for a write.
  std::uint64_t durable_size_ = 0;  // durable_size_ <= size_
  std::optional<Error> poison_;     // Set once and for all.

  std::deque<Append*> queue_;  // In call order; each lives in the frame of its append().
  bool writing_ = false;       // A write or a truncation is in flight.
  bool syncing_ = false;       // A sync or a truncation is in flight.
  bool entry_durable_ = false;
  runtime::Event sync_ended_;
};

// An engine whose segments are files of the runtime's disk.
class DiskEngine final : public Engine {
 public:
  DiskEngine(runtime::Runtime& runtime, std::string_view name, runtime::IoPath path)
      : runtime_(runtime), name_(name), io_path_(path) {}

  std::string_view name() const override { return name_; }
  bool is_persistent() const override { return true; }
  bool is_synced_by_filesystem() const override { return true; }
  Task<Result<std::unique_ptr<Segment>>> open(std::string path) override;
  Result<std::vector<std::string>> list(std::string_view directory) override;
  Result<void> remove(std::string_view path) override;

 private:
  runtime::Runtime& runtime_;
  const std::string_view name_;
  const runtime::IoPath io_path_;
};

}  // namespace qlab::storage
