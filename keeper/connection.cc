#include "keeper/connection.h"

#include "common/logging.h"

namespace qlab::keeper {

void Connection::after_send() {
  ++sent;
  if (out_.size() > Options::unsent_bytes_max) {
    log(LogLevel::warn, "keeper", "closing {}: it does not read, and {} bytes wait for it",
        remote(), out_.size());
    close();
  }
  progress_.notify_all();
}

void Connection::send_text(std::string_view text) {
  out_.put_text(text);
  progress_.notify_all();
}

void Connection::close() {
  if (std::exchange(closed_, true)) return;
  stream_->close();
  progress_.notify_all();
}

void Connection::close_when_sent() {
  ending_ = true;
  progress_.notify_all();
}

void Connection::remove_open(std::size_t bytes) {
  open_bytes_ -= bytes;
  progress_.notify_all();
}

Task<void> Connection::until_room() {
  while (!closed_ &&
         (queue.size() >= Options::open_requests_max || open_bytes_ > Options::open_bytes_max)) {
    co_await progress_.wait();
  }
}

Task<void> Connection::until_established() {
  while (!is_ending() && session == 0) co_await progress_.wait();
}

Task<void> Connection::write_loop() {
  while (!closed_) {
    if (out_.size() == 0) {
      if (ending_) {
        close();
        co_return;
      }
      co_await progress_.wait();
      continue;
    }
    const Bytes bytes = out_.take();
    out_ = {};
    std::vector<ByteView> pieces(1, bytes);
    const auto written = co_await stream_->write(std::move(pieces));
    if (!written) close();
  }
}

}  // namespace qlab::keeper
