#pragma once
// ZAB as its paper has it, on plain values: an executable model that other code is held against.
//
// Source: Junqueira, Reed, Serafini, "Zab: High-performance broadcast for primary-backup systems"
// (DSN 2011), Z in the rules, with its steps as Medeiros numbers them in "ZooKeeper's atomic
// broadcast protocol: Theory and practice" (2012); ZooKeeper's classes, ZK, where the
// implementation is the only source; Shraer et al., "Dynamic Reconfiguration of Primary/Backup
// Clusters" (2012), S. Actions are named as in the trace and in ZooKeeper's specification in TLA+.
// Free are all times, what is sent to whom and how much at once, and every refusal.

#include <memory>

#include "consensus/model/model.h"

namespace qlab::zab::model {

// Of one group, from its first step on. `counter_max`: entries of one epoch.
std::shared_ptr<consensus::model::Model> make_zab_model(std::uint64_t counter_max = 0xFFFFFFFF);

}  // namespace qlab::zab::model
