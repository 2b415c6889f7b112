#pragma once
// Which partition a key belongs to.

#include <cstdint>

#include "common/bytes.h"
#include "common/ids.h"

namespace qlab::client {

// The 32-bit MurmurHash2 with the seed that Kafka's Java client uses.
//
// Source: A. Appleby, MurmurHash2; seed 0x9747b28c from Kafka's Utils.murmur2.
std::uint32_t murmur2(ByteView bytes);

// The partition that Kafka's Java client chooses for `key`, so that all clients agree: the hash
// without its top bit, modulo the number of partitions. librdkafka does the same with
// partitioner=murmur2_random, not by default.
//
// Requires: partitions > 0.
PartitionIndex partition_for_key(ByteView key, std::int32_t partitions);

}  // namespace qlab::client
