#include "zab/learner.h"

namespace qlab::zab {

void Window::sent(LogIndex end, std::uint64_t bytes) {
  sent_.push_back({end, bytes});
  bytes_ += bytes;
}

void Window::acknowledged(LogIndex up_to) {
  while (!sent_.empty() && sent_.front().end <= up_to) {
    bytes_ -= sent_.front().bytes;
    sent_.pop_front();
  }
}

bool Window::is_full(std::size_t messages_max, std::size_t bytes_max) const {
  return !sent_.empty() && (sent_.size() >= messages_max || bytes_ >= bytes_max);
}

std::string_view name_of(Stage stage) {
  static constexpr std::string_view names[] = {"connected",  "epoch_acked",  "snap",      "diff",
                                               "new_leader", "acknowledged", "up_to_date"};
  return names[static_cast<std::size_t>(stage)];
}

}  // namespace qlab::zab
