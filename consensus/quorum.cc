#include "consensus/quorum.h"

#include <map>

namespace qlab::consensus {
namespace {

bool is_hierarchical(const std::vector<Member>& members) {
  for (const Member& member : members) {
    if (counts(member) && (member.weight != 1 || member.group != 0)) return true;
  }
  return false;
}

// More than half of the weight in more than half of the groups that have weight.
bool is_quorum_of_groups(const std::vector<Member>& members,
                         const std::function<bool(NodeId)>& agrees) {
  struct Group {
    std::uint64_t weight = 0;
    std::uint64_t agreed = 0;
  };
  std::map<std::uint32_t, Group> groups;
  for (const Member& member : members) {
    if (!counts(member) || member.weight == 0) continue;
    Group& group = groups[member.group];
    group.weight += member.weight;
    if (agrees(member.id)) group.agreed += member.weight;
  }
  std::size_t agreed = 0;
  for (const auto& [number, group] : groups) agreed += 2 * group.agreed > group.weight ? 1 : 0;
  return 2 * agreed > groups.size();
}

bool is_quorum_of(const std::vector<Member>& members, std::uint32_t wanted,
                  const std::function<bool(NodeId)>& agrees) {
  if (wanted == 0 && is_hierarchical(members)) return is_quorum_of_groups(members, agrees);
  std::uint32_t voters = 0;
  std::uint32_t agreed = 0;
  for (const Member& member : members) {
    if (!counts(member)) continue;
    voters += 1;
    agreed += agrees(member.id) ? 1 : 0;
  }
  return agreed >= (wanted == 0 ? voters / 2 + 1 : wanted);
}

}  // namespace

bool counts(const Member& member) {
  return member.role != MemberRole::observer;
}

const Member* find_member(const Config& config, NodeId id) {
  for (const auto* members : {&config.members, &config.outgoing}) {
    for (const Member& member : *members) {
      if (member.id == id) return &member;
    }
  }
  return nullptr;
}

std::set<NodeId> voters_of(const Config& config) {
  std::set<NodeId> voters;
  for (const auto* members : {&config.members, &config.outgoing}) {
    for (const Member& member : *members) {
      if (counts(member)) voters.insert(member.id);
    }
  }
  return voters;
}

bool is_quorum(const Config& config, QuorumUse use, const std::function<bool(NodeId)>& agrees) {
  const std::uint32_t wanted =
      use == QuorumUse::elect ? config.election_quorum : config.commit_quorum;
  if (!is_quorum_of(config.members, wanted, agrees)) return false;
  return config.outgoing.empty() || is_quorum_of(config.outgoing, wanted, agrees);
}

bool is_quorum_possible(const Config& config, QuorumUse use,
                        const std::function<bool(NodeId)>& refuses) {
  return is_quorum(config, use, [&](NodeId id) { return !refuses(id); });
}

}  // namespace qlab::consensus
