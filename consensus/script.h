#pragma once
// Runs protocol scripts: testdata/*.txt, one small language for all modules (docs/consensus.md).
//
// A script is blocks: commands, a line `----`, and the steps they should cause. A test compares the
// two; with QLAB_REWRITE=1 in the environment it writes what happened into the file instead, for a
// person to read and judge.

#include <string>

#include "consensus/step_world.h"

namespace qlab::consensus {

using MessageWords = std::function<std::string(const Message&)>;

// Returns the script with what really happened below each `----`.
// Errors: invalid, naming the line whose command is not understood.
Result<std::string> run_script(std::string_view script, StepWorld::Factory factory,
                               MessageWords words);

// Reads, runs and compares a file; returns an empty text when they agree, else the first lines that
// differ. Errors: as run_script; not_found.
Result<std::string> check_script_file(const std::string& path, StepWorld::Factory factory,
                                      MessageWords words);

}  // namespace qlab::consensus
