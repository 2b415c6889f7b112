#include "raft/quorum.h"

namespace qlab::raft {

Tally tally(std::size_t voters, std::size_t granted, std::size_t refused) {
  CHECK(granted + refused <= voters);
  if (granted >= majority(voters)) return Tally::won;
  if (voters - refused < majority(voters)) return Tally::lost;
  return Tally::open;
}

}  // namespace qlab::raft
