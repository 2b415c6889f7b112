#include "consensus/effect_words.h"

#include "consensus/config.h"

namespace qlab::consensus {
namespace {

using Words = std::function<std::string(const Message&)>;

std::string show(LogId id) {
  return fmt::format("{}/{}", id.epoch, id.index);
}
std::string show(std::optional<NodeId> node) {
  return node ? fmt::format("{}", *node) : std::string("none");
}
// `1,2,3w,4o`, and a joint one `1,2,3<-1,2,4`.
std::string show(const std::vector<Member>& members) {
  std::string text;
  for (const Member& member : members) {
    if (!text.empty()) text += ",";
    text += fmt::format("{}", member.id);
    if (member.role == MemberRole::observer) text += "o";
    if (member.role == MemberRole::witness) text += "w";
  }
  return text;
}
std::string show(const Config& config) {
  return config.outgoing.empty() ? show(config.members)
                                 : show(config.members) + "<-" + show(config.outgoing);
}
std::string after(WriteSeq seq) {
  return seq == WriteSeq{0} ? std::string() : fmt::format(" after=w{}", seq);
}

struct InputWords {
  const Words& words;
  std::string operator()(const in::Timer&) const { return "timer"; }
  std::string operator()(const in::Receive& i) const {
    return fmt::format("<- {} {}", i.from, words(*i.message));
  }
  std::string operator()(const in::LinkUp& i) const { return fmt::format("link_up {}", i.peer); }
  std::string operator()(const in::LinkDown& i) const {
    return fmt::format("link_down {}", i.peer);
  }
  std::string operator()(const in::WriteDone& i) const {
    return fmt::format("write_done w{}", i.up_to);
  }
  std::string operator()(const in::Applied& i) const { return fmt::format("applied {}", i.up_to); }
  std::string operator()(const in::Propose& i) const {
    return fmt::format("propose r{} entries={}", i.request, i.bodies.size());
  }
  std::string operator()(const in::Read& i) const { return fmt::format("read r{}", i.request); }
  std::string operator()(const in::Reconfigure& i) const {
    return fmt::format("reconfigure r{} {}", i.request, show(i.target));
  }
  std::string operator()(const in::Transfer& i) const {
    return fmt::format("transfer r{} to={}", i.request, i.to);
  }
  std::string operator()(const in::Resign& i) const {
    return fmt::format("resign epoch={}", i.epoch);
  }
  std::string operator()(const in::SnapshotTaken&) const { return "snapshot_taken"; }
  std::string operator()(const in::SnapshotChunk& i) const {
    return fmt::format("snapshot_chunk for={} of={} position={} bytes={}", i.for_peer,
                       show(i.snapshot), i.position,
                       i.bytes ? std::to_string(i.bytes->size()) : std::string("gone"));
  }
  std::string operator()(const in::SnapshotInstalled& i) const {
    return fmt::format("snapshot_installed {}", show(i.last));
  }
};

struct EffectWords {
  const Words& words;
  std::string operator()(const out::Append& e) const {
    std::string text = fmt::format("append w{}", e.seq);
    for (const Entry& entry : e.entries) text += " " + words_of(entry);
    return text;
  }
  std::string operator()(const out::Truncate& e) const {
    return fmt::format("truncate w{} from={}", e.seq, e.from);
  }
  std::string operator()(const out::SaveHardState& e) const {
    std::string text = fmt::format("save w{} epoch={} vote={}", e.seq, e.state.epoch,
                                   e.state.vote ? show(e.state.vote->id) : "none");
    if (e.state.synced_epoch != e.state.epoch) {
      text += fmt::format(" synced_epoch={}", e.state.synced_epoch);
    }
    if (e.state.leader) text += fmt::format(" leader={}", *e.state.leader);
    return text;
  }
  std::string operator()(const out::ReadSnapshot& e) const {
    return fmt::format("read_snapshot {} for={} position={}", show(e.snapshot), e.for_peer,
                       e.position);
  }
  std::string operator()(const out::StoreSnapshot& e) const {
    return fmt::format("store_snapshot w{} {} position={} bytes={}", e.seq, show(e.meta.last),
                       e.position, e.bytes->size());
  }
  std::string operator()(const out::InstallSnapshot& e) const {
    return fmt::format("install_snapshot w{} {}", e.seq, show(e.meta.last));
  }
  std::string operator()(const out::ConfigActive& e) const {
    return fmt::format("config_active {} at={}", show(e.config), show(e.at));
  }
  std::string operator()(const out::Fatal& e) const { return fmt::format("fatal {}", e.reason); }
  std::string operator()(const out::Send& e) const {
    return fmt::format("-> {} {}{}", e.to, words(*e.message), after(e.after));
  }
  std::string operator()(const out::CloseLink& e) const {
    return fmt::format("close_link {}", e.peer);
  }
  std::string operator()(const out::Commit& e) const {
    return fmt::format("commit {}{}", e.up_to, after(e.after));
  }
  std::string operator()(const out::Outcome& e) const {
    std::string text = fmt::format("outcome r{} {}", e.request, name_of(e.fate));
    if (e.fate == Fate::committed) text += " at=" + show(e.at);
    if (e.fate == Fate::rejected) text += " hint=" + show(e.hint);
    if (!e.reason.empty()) text += fmt::format(" reason={}", e.reason);
    return text;
  }
  std::string operator()(const out::ReadReady& e) const {
    return fmt::format("read_ready r{} applied={}", e.request, e.wait_applied);
  }
  std::string operator()(const out::ElectionStarted& e) const {
    return fmt::format("election_started epoch={} reason={}", e.epoch, e.reason);
  }
  std::string operator()(const out::LeaderKnown& e) const {
    return fmt::format("leader_known epoch={} leader={}", e.epoch, show(e.leader));
  }
  std::string operator()(const out::Activate& e) const {
    return fmt::format("activate epoch={} ready_at={}", e.epoch, e.ready_at);
  }
  std::string operator()(const out::Deactivate& e) const {
    return fmt::format("deactivate epoch={}", e.epoch);
  }
  std::string operator()(const out::Trace& e) const {
    std::string text = fmt::format("trace {}", e.action);
    if (e.peer != no_node) text += fmt::format(" peer={}", e.peer);
    if (!e.reason.empty()) text += fmt::format(" reason={}", e.reason);
    return text;
  }
};

}  // namespace

std::string_view name_of(Fate fate) {
  switch (fate) {
    case Fate::committed:
      return "committed";
    case Fate::rejected:
      return "rejected";
    case Fate::superseded:
      return "superseded";
    case Fate::unknown:
      return "unknown";
    case Fate::overloaded:
      return "overloaded";
  }
  return "unknown";
}

std::string words_of(const Entry& entry) {
  if (entry.kind == EntryKind::no_op) return show(entry.id) + ":no_op";
  if (entry.kind == EntryKind::control) return show(entry.id) + ":control";
  if (entry.kind == EntryKind::config) {
    const auto config = decode_config(*entry.body);
    return fmt::format("{}:config={}", show(entry.id), config ? show(*config) : "damaged");
  }
  return fmt::format("{}:{}", show(entry.id), as_text(*entry.body));
}

std::string words_of(const Config& config) {
  return show(config);
}

std::string words_of(const Input& input, const Words& words) {
  return std::visit(InputWords{words}, input);
}

std::string words_of(const Effect& effect, const Words& words) {
  return std::visit(EffectWords{words}, effect);
}

}  // namespace qlab::consensus
