#include "runtime/real/trace_file.h"

#include <cerrno>

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include "common/logging.h"
#include "runtime/real/timers.h"

namespace qlab::runtime {

Result<std::unique_ptr<TraceFile>> TraceFile::open(const std::string& path, NodeId node) {
  TRY(Fd file, open_fd(path, O_WRONLY | O_CREAT | O_APPEND));
  return std::make_unique<TraceFile>(std::move(file), node);
}

TraceFile::TraceFile(Fd file, NodeId node)
    : file_(std::move(file)), node_(node), writer_([this] { write_batches(); }) {}

TraceFile::~TraceFile() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  changed_.notify_one();
  writer_.join();
}

void TraceFile::emit(std::string_view event, std::initializer_list<TraceField> fields) {
  std::string line;
  append_trace_line(line, monotonic_now(), node_, event, fields);
  const std::lock_guard lock(mutex_);
  if (buffer_.size() + line.size() > buffer_bytes_max) {
    lose("its buffer is full");
    return;
  }
  if (buffer_.empty()) changed_.notify_one();
  buffer_ += line;
}

Time TraceFile::now() const {
  return monotonic_now();
}

// Requires: mutex_ is held.
void TraceFile::lose(std::string_view why) {
  if (std::exchange(said_so_, true)) return;
  log(LogLevel::warn, fmt::format("node {}", node_), "the trace loses lines: {}", why);
}

void TraceFile::write_batches() {
  std::unique_lock lock(mutex_);
  for (;;) {
    changed_.wait(lock, [this] { return stopping_ || !buffer_.empty(); });
    // Company for the first line; a batch costs one write.
    changed_.wait_for(lock, flush_interval, [this] { return stopping_; });
    if (buffer_.empty()) return;
    std::string batch = std::exchange(buffer_, {});
    lock.unlock();
    int number = 0;
    for (std::string_view left = batch; !left.empty() && number == 0;) {
      const ssize_t written = ::write(file_.get(), left.data(), left.size());
      if (written >= 0) left.remove_prefix(static_cast<std::size_t>(written));
      if (written < 0 && errno != EINTR) number = errno;
    }
    lock.lock();
    if (number != 0) lose(errno_error(number, "write").message());
  }
}

}  // namespace qlab::runtime
