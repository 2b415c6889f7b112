#pragma once
// Known bugs that can be put between a module and its driver, as a careless one of either could
// have them. A mutant that the simulator does not find is a hole in the simulator.

#include <memory>
#include <string_view>
#include <vector>

#include "consensus/driver.h"

namespace qlab::sim {

enum class Mutant : std::uint8_t {
  none,
  send_before_sync,      // Messages leave before the writes they promise are durable.
  ack_before_sync,       // The same, for those that wait for entries.
  vote_before_sync,      // The same, for those that wait for the hard state.
  cut_before_sync,       // The same, for those that wait for a truncation.
  count_before_sync,     // A replica counts its own writes when it has asked for them.
  vote_not_saved,        // The hard state on the disk has the epoch, and not the vote.
  read_without_quorum,   // A leader serves reads without asking whether it still is one.
  lease_without_margin,  // Leases do not mind that clocks differ.
  committed_when_led,    // A proposal is acknowledged when its leader has appended it.
  superseded_when_cut,   // Its author's truncation is taken for a proposal's end (Raft figure 8).
  config_not_recovered,  // A replica comes up with the configuration that it once began with.
  image_of_old_config,   // An image is installed with the configuration it once began with.
  ack_before_history,    // ZOOKEEPER-3911: a new leader is acknowledged before its history is
                         // durable.
  leader_not_recovered,  // A replica that led does not know so when it comes up (KRaft).
  break_not_noticed,     // Nobody tells a module that a stream broke and another came up.
};
std::vector<std::string_view> mutant_names();
Result<Mutant> find_mutant(std::string_view name);
// Whether it is a bug in such a module; else why not.
// Errors: unsupported.
Result<void> check_mutant(Mutant mutant, const consensus::Capabilities& capabilities);

// A module with the bug in it; the module itself for `none`. `configured`: what the replica began
// with in its first life.
std::unique_ptr<consensus::Module> make_mutant(Mutant mutant,
                                               const consensus::ModuleFactory& factory,
                                               consensus::ModuleContext context,
                                               const consensus::Config& configured);

}  // namespace qlab::sim
