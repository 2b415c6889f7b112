#pragma once
// What a process that stops in order leaves in its data directory for the next one: that all of its
// logs are durable, and which registration it had. A process that dies leaves nothing.
//
// The file is Kafka's: `.kafka_cleanshutdown`, {"version":0,"brokerEpoch":N}. It is removed before
// anything is written, so that it never speaks for what came after it (KAFKA-10471).
//
// Thread: the home shard. Source: KIP-966.

#include "common/ids.h"
#include "runtime/disk.h"

namespace qlab::broker {

// Returns the epoch that was left, -1 without one, and removes it.
// Durability: of the removal. Errors: io. A file that nobody has written like this is as none.
Result<BrokerEpoch> take_clean_shutdown(runtime::Disk& disk);

// Requires: all logs are closed. Durability: of the file. Errors: io, no_space.
Result<void> leave_clean_shutdown(runtime::Disk& disk, BrokerEpoch epoch);

}  // namespace qlab::broker
