#pragma once
// Hands each new image, with what changed, to whoever on this node follows the cluster's metadata.
//
// Thread: the home shard. A subscriber on another shard posts what it gets; image and delta are
// immutable.

#include <functional>
#include <memory>
#include <vector>

#include "metadata/image.h"

namespace qlab::metadata {

using DeltaPtr = std::shared_ptr<const Delta>;
using Subscriber = std::function<void(ImagePtr image, DeltaPtr delta)>;

class Publisher {
 public:
  Publisher() : image_(std::make_shared<const Image>()) {}

  // The newest committed image. Never null; empty before the first record.
  ImagePtr image() const { return image_; }

  // Calls for each image published from here on, in the order of subscription.
  void subscribe(Subscriber subscriber) { subscribers_.push_back(std::move(subscriber)); }

  void publish(ImagePtr image, DeltaPtr delta) {
    image_ = image;
    for (const Subscriber& subscriber : subscribers_) subscriber(image, delta);
  }

 private:
  ImagePtr image_;
  std::vector<Subscriber> subscribers_;
};

}  // namespace qlab::metadata
