#include "consensus/script.h"

#include <charconv>
#include <cstdlib>
#include <fstream>
#include <map>
#include <sstream>

#include "consensus/effect_words.h"

namespace qlab::consensus {
namespace {

std::vector<std::string> split(std::string_view text, char separator) {
  std::vector<std::string> parts;
  std::string part;
  std::istringstream in{std::string(text)};
  while (std::getline(in, part, separator)) {
    const auto from = part.find_first_not_of(' ');
    if (from == std::string::npos) continue;
    parts.push_back(part.substr(from, part.find_last_not_of(' ') - from + 1));
  }
  return parts;
}

Result<std::int64_t> number(std::string_view text) {
  std::int64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc{} || end != text.data() + text.size()) {
    return fail(Errc::invalid, "`{}` is not a number", text);
  }
  return value;
}

Result<NodeId> node(std::string_view text) {
  TRY(const auto value, number(text));
  return NodeId{static_cast<std::int32_t>(value)};
}

// One script under way.
class Run {
 public:
  Run(StepWorld::Factory factory, MessageWords words)
      : factory_(std::move(factory)), words_(std::move(words)) {}

  Result<void> command(std::vector<std::string> words);
  std::string take_output() { return std::exchange(output_, {}); }

 private:
  Result<void> set(const std::vector<std::string>& words);
  Result<void> nodes(const std::vector<std::string>& words);
  Result<void> one_node(const std::string& verb, NodeId id, const std::vector<std::string>& words);
  Result<void> link(const std::string& verb, const std::vector<std::string>& words);
  Result<Config> members(const std::string& text) const;
  void propose(NodeId id, const std::vector<std::string>& words);
  void show_status();
  void show_step(NodeId id, const Input& input, const std::vector<Effect>& effects);

  StepWorld::Factory factory_;
  MessageWords words_;
  StepWorld::Options options_;
  std::unique_ptr<StepWorld> world_;
  std::uint64_t requests_ = 0;
  bool quiet_ = false;
  std::string output_;
};

Result<void> Run::set(const std::vector<std::string>& words) {
  if (words.size() != 3) return fail(Errc::invalid, "set takes a name and a value");
  Tuning& tuning = options_.tuning;
  const std::map<std::string, bool*> switches = {
      {"pre_vote", &tuning.pre_vote},
      {"check_quorum", &tuning.check_quorum},
      {"link_down_is_suspicion", &tuning.link_down_is_suspicion},
      {"lease_reads", &tuning.lease_reads},
      {"forward_proposals", &tuning.forward_proposals}};
  const std::map<std::string, std::size_t*> sizes = {
      {"inflight_messages_max", &tuning.inflight_messages_max},
      {"inflight_bytes_max", &tuning.inflight_bytes_max},
      {"batch_bytes_max", &tuning.batch_bytes_max},
      {"uncommitted_bytes_max", &tuning.uncommitted_bytes_max},
      {"snapshot_chunk_bytes", &tuning.snapshot_chunk_bytes},
      {"image_bytes", &options_.image_bytes}};
  if (const auto found = switches.find(words[1]); found != switches.end()) {
    *found->second = words[2] == "on";
    return {};
  }
  const auto found = sizes.find(words[1]);
  if (found == sizes.end()) {
    return fail(Errc::invalid, "there is nothing called {} to set", words[1]);
  }
  TRY(const auto value, number(words[2]));
  *found->second = static_cast<std::size_t>(value);
  return {};
}

Result<void> Run::nodes(const std::vector<std::string>& words) {
  if (words.size() < 2) return fail(Errc::invalid, "nodes takes a count");
  TRY(const auto voters, number(words[1]));
  options_.config = {};
  std::int32_t id = 0;
  const auto add = [&](std::int64_t count, MemberRole role) {
    for (; count > 0; --count) options_.config.members.push_back({NodeId{++id}, role});
  };
  add(voters, MemberRole::voter);
  for (std::size_t at = 2; at + 1 < words.size(); at += 2) {
    TRY(const auto count, number(words[at + 1]));
    if (words[at] == "observers") {
      add(count, MemberRole::observer);
    } else if (words[at] == "witnesses") {
      add(count, MemberRole::witness);
    } else {
      return fail(Errc::invalid, "there are no {} among nodes", words[at]);
    }
  }
  world_ = std::make_unique<StepWorld>(factory_, options_);
  world_->observe([this](NodeId node, const Input& input, const std::vector<Effect>& effects) {
    show_step(node, input, effects);
  });
  for (const Member& member : options_.config.members) world_->add(member.id);
  return {};
}

void Run::propose(NodeId id, const std::vector<std::string>& words) {
  in::Propose propose{RequestId{++requests_}, {}, std::nullopt};
  for (std::size_t i = 2; i < words.size(); ++i) {
    if (words[i].starts_with("epoch=")) {
      propose.expect_epoch = Epoch{number(words[i].substr(6)).value_or(-1)};
      continue;
    }
    const ByteView body = as_view(words[i]);
    propose.bodies.push_back(std::make_shared<const Bytes>(body.begin(), body.end()));
  }
  world_->step(id, propose);
}

Result<void> Run::one_node(const std::string& verb, NodeId id,
                           const std::vector<std::string>& words) {
  if (verb == "start") {
    world_->add(id);
    return {};
  }
  if (!world_->nodes().contains(id)) return fail(Errc::invalid, "there is no node {}", id);
  if (verb == "restart") {
    world_->restart(id);
    return {};
  }
  if (!world_->is_up(id)) return fail(Errc::invalid, "node {} is down", id);
  if (verb == "timeout") {
    if (world_->nodes().at(id).module->next_deadline() == Time::max()) {
      return fail(Errc::invalid, "node {} waits for nothing", id);
    }
    world_->fire_timer(id);
  } else if (verb == "write") {
    std::int64_t count = std::numeric_limits<std::int64_t>::max();
    if (words.size() > 2) {
      TRY(count, number(words[2]));
    }
    world_->write(id, static_cast<std::size_t>(count));
  } else if (verb == "crash") {
    world_->crash(id);
  } else if (verb == "wipe") {
    world_->wipe(id);
  } else if (verb == "propose") {
    propose(id, words);
  } else if (verb == "snapshot") {
    std::int64_t keep = 0;
    if (words.size() > 2) {
      TRY(keep, number(words[2]));
    }
    world_->take_snapshot(id, static_cast<std::uint64_t>(keep));
  } else if (verb == "transfer") {
    if (words.size() < 3) return fail(Errc::invalid, "transfer wants a leader and a successor");
    TRY(const NodeId to, node(words[2]));
    world_->step(id, in::Transfer{RequestId{++requests_}, to});
  } else if (verb == "reconfigure") {
    if (words.size() < 3) return fail(Errc::invalid, "reconfigure wants a leader and members");
    TRY(Config target, members(words[2]));
    for (std::size_t i = 3; i < words.size(); ++i) {
      const auto equals = words[i].find('=');
      if (equals == std::string::npos) return fail(Errc::invalid, "{} sets nothing", words[i]);
      TRY(const auto size, number(std::string_view(words[i]).substr(equals + 1)));
      (words[i].starts_with("elect") ? target.election_quorum : target.commit_quorum) =
          static_cast<std::uint32_t>(size);
    }
    world_->step(id, in::Reconfigure{RequestId{++requests_}, std::move(target)});
  } else if (verb == "read") {
    world_->step(id, in::Read{RequestId{++requests_}});
  } else if (verb == "resign") {
    world_->step(id, in::Resign{world_->nodes().at(id).module->status().epoch});
  } else {
    return fail(Errc::invalid, "there is no command {}", verb);
  }
  return {};
}

// `1,2,3w,4o`: voters, w for a witness, o for an observer.
Result<Config> Run::members(const std::string& text) const {
  Config config;
  for (std::string& word : split(text, ',')) {
    Member member;
    if (word.ends_with('w')) member.role = MemberRole::witness;
    if (word.ends_with('o')) member.role = MemberRole::observer;
    if (member.role != MemberRole::voter) word.pop_back();
    TRY(member.id, node(word));
    const auto known = world_->nodes().find(member.id);
    if (known != world_->nodes().end()) member.directory = known->second.key.directory;
    config.members.push_back(member);
  }
  return config;
}

// `deliver 1->2 [count]`, `drop 1->2 [count]`: without a count, all that is on the way now.
Result<void> Run::link(const std::string& verb, const std::vector<std::string>& words) {
  const auto arrow = words[1].find("->");
  TRY(const NodeId from, node(std::string_view(words[1]).substr(0, arrow)));
  TRY(const NodeId to, node(std::string_view(words[1]).substr(arrow + 2)));
  auto count = static_cast<std::int64_t>(world_->queued(from, to));
  if (words.size() > 2) {
    TRY(count, number(words[2]));
  }
  for (; count > 0; --count) {
    const bool moved = verb == "deliver" ? world_->deliver(from, to) : world_->drop(from, to);
    if (!moved) return fail(Errc::invalid, "nothing is on the way from {} to {}", from, to);
  }
  return {};
}

Result<void> Run::command(std::vector<std::string> words) {
  quiet_ = words.front() == "quiet";
  if (quiet_) words.erase(words.begin());
  if (words.empty()) return fail(Errc::invalid, "quiet wants a command");
  const std::string verb = words.front();
  if (verb == "set") return set(words);
  if (verb == "nodes") return nodes(words);
  if (!world_) return fail(Errc::invalid, "{} comes before nodes", verb);
  if (verb == "status") {
    show_status();
    return {};
  }
  if (verb == "settle") {
    if (!world_->settle()) return fail(Errc::invalid, "the group does not settle");
    return {};
  }
  if (words.size() < 2) return fail(Errc::invalid, "{} wants a node, a link or a time", verb);
  if (verb == "advance" || verb == "run") {
    TRY(const auto millis, number(words[1]));
    world_->advance(std::chrono::milliseconds(millis), verb == "run");
    return {};
  }
  if (verb == "pause") {
    TRY(const auto millis, number(words[1]));
    world_->pause(std::chrono::milliseconds(millis));
    return {};
  }
  if (verb == "deliver" || verb == "drop") return link(verb, words);
  TRY(const NodeId id, node(words[1]));
  if (verb == "connect" || verb == "break") {
    if (words.size() < 3) return fail(Errc::invalid, "{} wants two nodes", verb);
    TRY(const NodeId other, node(words[2]));
    verb == "connect" ? world_->connect(id, other) : world_->disconnect(id, other);
    return {};
  }
  return one_node(verb, id, words);
}

void Run::show_status() {
  for (const auto& [id, node] : world_->nodes()) {
    if (node.module == nullptr) {
      output_ += fmt::format("{} down\n", id);
      continue;
    }
    const Status status = node.module->status();
    output_ +=
        fmt::format("{} {} epoch={} commit={} log=", id, status.role, status.epoch, status.commit);
    for (const Entry& entry : node.log.read(node.log.first(), SIZE_MAX)) {
      output_ += fmt::format("{} ", words_of(entry));
    }
    output_.back() = '\n';
  }
}

void Run::show_step(NodeId id, const Input& input, const std::vector<Effect>& effects) {
  if (quiet_) return;
  if (effects.empty() && !std::holds_alternative<in::Receive>(input)) return;
  output_ += fmt::format("{} {}\n", id, words_of(input, words_));
  for (const Effect& effect : effects) output_ += fmt::format("  {}\n", words_of(effect, words_));
}

}  // namespace

Result<std::string> run_script(std::string_view script, StepWorld::Factory factory,
                               MessageWords words) {
  Run run(std::move(factory), std::move(words));
  std::string result;
  std::string line;
  std::size_t line_number = 0;
  bool expected = false;  // Between `----` and the next empty line.
  std::istringstream in{std::string(script)};
  while (std::getline(in, line)) {
    ++line_number;
    if (expected && !line.empty()) continue;
    expected = line == "----";
    result += line + "\n";
    if (expected) result += run.take_output();
    if (expected || line.empty() || line.starts_with('#')) continue;
    for (const std::string& part : split(line, ';')) {
      const auto done = run.command(split(part, ' '));
      if (!done) return fail(Errc::invalid, "line {}: {}", line_number, done.error().context);
    }
  }
  return result;
}

Result<std::string> check_script_file(const std::string& path, StepWorld::Factory factory,
                                      MessageWords words) {
  std::ifstream in(path);
  if (!in) return fail(Errc::not_found, "cannot read {}", path);
  const std::string script{std::istreambuf_iterator<char>(in), {}};
  TRY(const std::string happened, run_script(script, std::move(factory), std::move(words)));
  if (happened == script) return std::string{};
  if (std::getenv("QLAB_REWRITE") != nullptr) {
    std::ofstream(path) << happened;
    return std::string{};
  }
  std::istringstream wanted_lines{script};
  std::istringstream found_lines{happened};
  std::string wanted;
  std::string found;
  for (std::size_t line = 1;; ++line) {
    const bool more_wanted = !!std::getline(wanted_lines, wanted);
    const bool more_found = !!std::getline(found_lines, found);
    if (more_wanted && more_found && wanted == found) continue;
    return fmt::format("{}:{}\n  expected: {}\n  happened: {}", path, line,
                       more_wanted ? wanted : "(the end)", more_found ? found : "(the end)");
  }
}

}  // namespace qlab::consensus
