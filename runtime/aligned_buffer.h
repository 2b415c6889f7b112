#pragma once
// Memory at an address that IoPath::direct takes.

#include <cstdlib>
#include <new>

#include "runtime/disk.h"

namespace qlab::runtime {

class AlignedBuffer : public IoBuffer {
 public:
  // Requires: `size` is a multiple of direct_alignment.
  explicit AlignedBuffer(std::size_t size)
      : size_(size),
        data_(static_cast<std::byte*>(::operator new (size, std::align_val_t{direct_alignment}))) {}
  ~AlignedBuffer() override { ::operator delete (data_, std::align_val_t{direct_alignment}); }
  AlignedBuffer(const AlignedBuffer&) = delete;
  AlignedBuffer& operator=(const AlignedBuffer&) = delete;

  std::span<std::byte> bytes() override { return {data_, size_}; }

 private:
  const std::size_t size_;
  std::byte* const data_;
};

}  // namespace qlab::runtime
