#pragma once
// What every engine whose segments are files of the runtime's disk shares: names and spares.

#include <functional>
#include <memory>
#include <string>

#include "runtime/disk.h"
#include "storage/engine.h"
#include "storage/engines/spare_files.h"

namespace qlab::storage {

// A segment's file, as its engine opened it.
struct SegmentFile {
  // Makes the name durable.
  Result<void> sync_entry(runtime::Disk& disk) const;

  std::string path;
  std::unique_ptr<runtime::File> file;
  std::uint64_t size = 0;  // Of the segment; 0 for a new one, whatever its file was prepared to.
  std::uint64_t end = 0;   // Of the file; size <= end.
};

class DiskEngine final : public Engine {
 public:
  using MakeSegment = std::function<std::unique_ptr<Segment>(SegmentFile file)>;

  DiskEngine(runtime::Runtime& runtime, std::string_view name, runtime::IoPath io_path,
             const EngineOptions& options, MakeSegment make_segment)
      : runtime_(runtime),
        name_(name),
        io_path_(io_path),
        make_segment_(std::move(make_segment)),
        spares_(runtime, io_path, options) {}

  std::string_view name() const override { return name_; }
  bool is_persistent() const override { return true; }
  // What is appended past the page cache is in memory of the process until it is sent.
  bool is_synced_by_filesystem() const override { return io_path_ != runtime::IoPath::direct; }
  Task<Result<std::unique_ptr<Segment>>> open(std::string path) override;
  Result<std::vector<std::string>> list(std::string_view directory) override;
  Result<void> remove(std::string_view path) override;
  Task<Result<void>> start() override { return spares_.start(); }
  Task<void> stop() override { return spares_.stop(); }

 private:
  Task<Result<SegmentFile>> open_file(std::string path, bool is_spare);

  runtime::Runtime& runtime_;
  const std::string_view name_;
  const runtime::IoPath io_path_;
  const MakeSegment make_segment_;
  SpareFiles spares_;
};

}  // namespace qlab::storage
