#include "consensus/config.h"

namespace qlab::consensus {
namespace {

constexpr std::uint8_t version = 1;
constexpr std::uint32_t members_max = 10'000;

void put(BytesWriter& out, const std::vector<Member>& members) {
  out.put(static_cast<std::uint32_t>(members.size()));
  for (const Member& member : members) {
    out.put(member.id.value());
    out.put(static_cast<std::uint8_t>(member.role));
    out.put(member.directory.high);
    out.put(member.directory.low);
    out.put(member.weight);
    out.put(member.group);
  }
}

std::vector<Member> get_members(BytesReader& in) {
  const auto count = in.get<std::uint32_t>();
  if (count > members_max) in.fail_with("it has too many members");
  std::vector<Member> members;
  for (std::uint32_t i = 0; i < count && in.ok(); ++i) {
    Member member;
    member.id = NodeId{in.get<std::int32_t>()};
    const auto role = in.get<std::uint8_t>();
    if (role > static_cast<std::uint8_t>(MemberRole::witness)) in.fail_with("a role is unknown");
    member.role = static_cast<MemberRole>(role);
    member.directory.high = in.get<std::uint64_t>();
    member.directory.low = in.get<std::uint64_t>();
    member.weight = in.get<std::uint32_t>();
    member.group = in.get<std::uint32_t>();
    members.push_back(member);
  }
  return members;
}

Result<void> check_members(const Config& config, const std::vector<Member>& members) {
  for (std::size_t i = 1; i < members.size(); ++i) {
    if (members[i - 1].id < members[i].id) continue;
    return fail(Errc::invalid, "member {} does not follow member {}", members[i].id,
                members[i - 1].id);
  }
  std::uint32_t voters = 0;
  bool may_lead = false;
  for (const Member& member : members) {
    voters += member.role != MemberRole::observer ? 1 : 0;
    may_lead |= member.role == MemberRole::voter;
  }
  if (!may_lead) return fail(Errc::invalid, "no member may lead: there is no voter among them");
  const std::uint32_t majority = voters / 2 + 1;
  const std::uint32_t elect = config.election_quorum == 0 ? majority : config.election_quorum;
  const std::uint32_t commit = config.commit_quorum == 0 ? majority : config.commit_quorum;
  if (elect > voters || commit > voters) {
    return fail(Errc::invalid, "quorums of {} and {} of {} voters", elect, commit, voters);
  }
  if (elect + commit <= voters || 2 * elect <= voters) {
    return fail(Errc::invalid,
                "with {} voters, {} that elect may miss {} that commit, or {} that elect", voters,
                elect, commit, elect);
  }
  return {};
}

}  // namespace

Bytes encode_config(const Config& config) {
  BytesWriter out;
  out.put(version);
  out.put(config.election_quorum);
  out.put(config.commit_quorum);
  put(out, config.members);
  put(out, config.outgoing);
  return out.take();
}

Result<Config> decode_config(ByteView bytes) {
  BytesReader in(bytes);
  Config config;
  if (in.get<std::uint8_t>() != version) in.fail_with("its version is unknown");
  config.election_quorum = in.get<std::uint32_t>();
  config.commit_quorum = in.get<std::uint32_t>();
  config.members = get_members(in);
  config.outgoing = get_members(in);
  if (in.ok() && in.left() > 0) in.fail_with("bytes are left behind it");
  TRY_VOID(in.status());
  TRY_VOID(check_config(config));
  return config;
}

Result<void> check_config(const Config& config) {
  TRY_VOID(check_members(config, config.members));
  if (config.outgoing.empty()) return {};
  return check_members(config, config.outgoing);
}

}  // namespace qlab::consensus
