#pragma once
// The cluster as this node knows it, for those who answer from it or wait for it to show something.

#include <functional>

#include "metadata/publisher.h"
#include "runtime/async.h"

namespace qlab::broker {

using runtime::Task;

// Thread: the home shard.
class ClusterView {
 public:
  using Holds = std::function<bool(const metadata::Image&)>;

  // Requires: `publisher` outlives this.
  ClusterView(runtime::Runtime& runtime, metadata::Publisher& publisher)
      : publisher_(publisher), changed_(runtime) {
    publisher_.subscribe([this](const auto&, const auto&) { changed_.notify_all(); });
  }

  metadata::ImagePtr image() const { return publisher_.image(); }

  // Returns whether it holds, at `deadline` or when the view is closed at the latest.
  Task<bool> wait_for(Holds holds, Time deadline) {
    bool is_early = true;
    while (!holds(*image())) {
      if (closed_ || !is_early) co_return false;
      is_early = co_await changed_.wait_until(deadline);
    }
    co_return true;
  }
  void close() {
    closed_ = true;
    changed_.notify_all();
  }

 private:
  metadata::Publisher& publisher_;
  runtime::Event changed_;
  bool closed_ = false;
};

}  // namespace qlab::broker
