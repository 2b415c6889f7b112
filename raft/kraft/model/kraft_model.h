#pragma once
// KRaft as its KIPs have it, on plain values: an executable model that other code is held against.
//
// Source: KIP-595 (the protocol), KIP-630 (images), KIP-853 (voters), KIP-996 (pre-vote). Actions
// are named as its requests and states are; docs/kraft.md has the table rule -> source -> what it
// looks at. Free are all times but that of check-quorum, what is sent to whom and how much at once,
// and every refusal.

#include <memory>

#include "consensus/model/model.h"

namespace qlab::raft::kraft::model {

// Of one group, from its first step on.
std::shared_ptr<consensus::model::Model> make_kraft_model();

}  // namespace qlab::raft::kraft::model
