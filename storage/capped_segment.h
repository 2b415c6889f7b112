#pragma once
// A segment of SegmentFiles: it knows its size, and opens its file when a call needs it.

#include <boost/intrusive/list.hpp>

#include "storage/segment_files.h"

namespace qlab::storage {

// Thread: one shard.
class CappedSegment final : public Segment,
                            public boost::intrusive::list_base_hook<
                                boost::intrusive::link_mode<boost::intrusive::auto_unlink>> {
 public:
  // Its file is open.
  CappedSegment(SegmentFiles& files, std::string path, std::unique_ptr<Segment> file)
      : files_(files), path_(std::move(path)), file_(std::move(file)) {}
  // Its file is closed, and has `size` bytes that are durable.
  CappedSegment(SegmentFiles& files, std::string path, std::uint64_t size)
      : files_(files), path_(std::move(path)), size_(size), synced_(true) {}
  // Its file is not there yet.
  CappedSegment(SegmentFiles& files, std::string path) : files_(files), path_(std::move(path)) {}
  ~CappedSegment() override;

  Task<Result<void>> append(std::vector<ByteView> pieces) override;
  std::optional<Result<void>> try_append(ByteView bytes) override;
  Task<Result<std::uint64_t>> sync() override;
  Task<Result<Bytes>> read(std::uint64_t position, std::size_t count) override;
  Task<Result<void>> truncate(std::uint64_t size) override;
  Task<Result<void>> forget_cached() override;
  Task<Result<void>> rewrite(std::uint64_t position) override;
  void note_durable(std::uint64_t size) override;
  std::uint64_t size() const override { return file_ ? file_->size() : size_; }
  std::uint64_t durable_size() const override;
  Task<Result<void>> release() override;
  void set_listener(ReleaseListener* listener) override { listener_ = listener; }
  Task<Result<void>> close() override;

 private:
  friend class SegmentFiles;

  // Has the file open until leave(). The first is for when it is open already.
  bool try_enter();
  Task<Result<void>> enter();
  void leave();
  // Opens the file and checks that it is as it was closed.
  Task<Result<void>> open_file();
  Result<void> note(Result<void> outcome);
  // From here on the file stays open, and does not count against the cap.
  void keep_open();
  // Closes the file once no call is under way; all of it is made durable first. It stays open when
  // that fails. Requires: it is open, and not moving.
  Task<Result<void>> put_away();
  Task<void> moved();  // Waits until the file was opened or closed.
  void end_move();

  SegmentFiles& files_;
  const std::string path_;
  std::unique_ptr<Segment> file_;
  std::uint64_t size_ =
      0;  // While it is closed: of the file. While it is open: was durable before.
  std::uint32_t calls_ = 0;                // Under way.
  bool moving_ = false;                    // The file is being opened or closed.
  bool stays_open_ = false;                // It has met an error.
  bool synced_ = false;                    // Once at least, so that its name is durable.
  bool closed_ = false;                    // For good.
  std::unique_ptr<runtime::Event> moved_;  // While somebody waits for the end of a move.
  ReleaseListener* listener_ = nullptr;
};

}  // namespace qlab::storage
