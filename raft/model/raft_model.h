#pragma once
// Raft as its paper has it, on plain values: an executable model that other code is held against.
//
// Source: Ongaro and Ousterhout, "In Search of an Understandable Consensus Algorithm" (2014), P in
// the rules; Ongaro, "Consensus: Bridging Theory and Practice" (2014), D. Actions are named as in
// the dissertation's specification in TLA+. Free are all times, what is sent to whom and how much
// at once, and every refusal.

#include <memory>

#include "consensus/model/model.h"

namespace qlab::raft::model {

// Of one group, from its first step on.
std::shared_ptr<consensus::model::Model> make_raft_model();

}  // namespace qlab::raft::model
