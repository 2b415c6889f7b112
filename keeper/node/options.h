#pragma once
// What a server of a keeper is told on its command line: the flags of a consensus node, and a few
// of its own.

#include <set>

#include "consensus/node/options.h"
#include "keeper/options.h"

namespace qlab::keeper::node {

struct NodeOptions {
  consensus::node::NodeOptions consensus;
  std::set<NodeId> observers;  // Of the servers named by --voters: those that do not vote.
  Options keeper;
};

// Errors: invalid, naming the flag, its value and what is allowed.
Result<NodeOptions> parse_options(const std::vector<std::string>& words);
std::string help();

}  // namespace qlab::keeper::node
