// The contract: what no replica should send, and what no disk should hold, is refused by name. The
// table of docs/consensus.md lists where each module tests its own messages.
#include "consensus/contract_test.h"
#include "consensus/vote_store.h"

namespace qlab::consensus::contract {
namespace {

constexpr NodeId one{1};

// A group whose messages are all kept.
struct Overheard {
  struct Message {
    NodeId from;
    NodeId to;
    runtime::LinkEpoch link;
    Bytes bytes;
  };
  explicit Overheard(const NamedModule& module) : group(1, options_of(module)) { group.fill(5); }
  GroupOptions options_of(const NamedModule& module) {
    GroupOptions options = group_of(module);
    options.world.trace_lines_max = 1'000'000;
    options.on_message = [this](NodeId from, NodeId to, runtime::LinkEpoch link, ByteView bytes) {
      messages.push_back({from, to, link, Bytes(bytes.begin(), bytes.end())});
    };
    return options;
  }
  // Hands it to the driver as if it came again, and returns what the node traced at once.
  std::string hand(const Message& message) {
    const auto& lines = group.world.journal().last_lines();
    const std::size_t before = lines.size();
    group.node(message.to)->driver->receive(message.from, message.link, message.bytes);
    std::string words;
    for (std::size_t i = before; i < lines.size(); ++i) words += lines[i];
    return words;
  }

  std::vector<Message> messages;
  ContractGroup group;
};

bool names_a_refusal(const std::string& words) {
  for (const std::string_view name : {"message_refused", "Drop", "Ignore", "Reject", "Another"}) {
    if (words.find(name) != std::string::npos) return true;
  }
  return false;
}

BOOST_AUTO_TEST_SUITE(consensus_contract_refusals)

BOOST_DATA_TEST_CASE(garbage_is_refused_by_name_and_the_group_goes_on, all_modules()) {
  Overheard heard(sample);
  Prng random(3);
  for (int i = 0; i < 300; ++i) {
    Bytes noise(random.below(60));
    for (std::byte& byte : noise) byte = static_cast<std::byte>(random.below(256));
    for (const NodeId id : heard.group.ids()) {
      const NodeId from{id.value() % 3 + 1};
      BOOST_TEST(names_a_refusal(heard.hand({from, id, runtime::LinkEpoch{1}, noise})));
    }
  }
  heard.group.must_agree();
}

BOOST_DATA_TEST_CASE(a_truncated_message_is_refused_by_name, all_modules()) {
  Overheard heard(sample);
  const auto messages = heard.messages;
  BOOST_REQUIRE(messages.size() > 10u);
  for (const auto& whole : messages) {
    for (std::size_t size = 0; size < whole.bytes.size(); ++size) {
      auto part = whole;
      part.bytes.resize(size);
      BOOST_REQUIRE(names_a_refusal(heard.hand(part)));
    }
  }
  heard.group.must_agree();
}

// All of an epoch once more when it is over: none of it is taken for news.
BOOST_DATA_TEST_CASE(what_is_of_an_epoch_that_is_over_changes_nothing, all_modules()) {
  Overheard heard(sample);
  auto& group = heard.group;
  const auto messages = heard.messages;
  const auto old = group.must_elect();
  const Epoch over = *old->machine.active;
  old->driver->resign(over);
  group.fill(5);
  BOOST_REQUIRE((*group.must_elect()->machine.active > over));
  // A stream that has ended is not heard again where links are streams.
  std::map<std::pair<NodeId, NodeId>, runtime::LinkEpoch> newest;
  for (const auto& message : heard.messages) newest[{message.from, message.to}] = message.link;
  const bool streams = sim::capabilities_of(sample.factory).needs_fifo_links;
  std::size_t refused = 0;
  for (const auto& message : messages) {
    if (streams && message.link != newest.at({message.from, message.to})) continue;
    const auto node = group.node(message.to);
    const Status before = node->driver->status();
    refused += names_a_refusal(heard.hand(message)) ? 1 : 0;
    const Status after = node->driver->status();
    BOOST_TEST((after.last == before.last && after.commit == before.commit));
    if (streams) continue;  // One that repeats itself may cost a session, and so a role.
    BOOST_TEST((after.epoch == before.epoch && after.role == before.role));
    BOOST_TEST((after.leader == before.leader));
  }
  BOOST_TEST(refused > messages.size() / 3);
  group.must_agree();
}

// Each as it comes, twice. Nothing happens twice, and nobody commits what was not acknowledged.
BOOST_DATA_TEST_CASE(a_message_that_comes_twice_is_taken_once, all_modules()) {
  if (sim::capabilities_of(sample.factory).needs_fifo_links) {
    fmt::print("messages twice: {} runs over streams, where a number of the session tells\n",
               sample.name);
  }
  Overheard heard(sample);
  auto& group = heard.group;
  for (int round = 0; round < 20; ++round) {
    heard.messages.clear();
    group.fill(2);
    const auto messages = heard.messages;
    for (const auto& message : messages) {
      if (const auto node = group.node(message.to)) {
        node->driver->receive(message.from, message.link, message.bytes);
      }
    }
  }
  group.must_agree();
}

// What a node says when it is started on its disk after `change` was done to it.
std::string refusal_after(const NamedModule& module, bool with_image,
                          const std::function<void(runtime::SimulatedDisk&)>& change) {
  ContractGroup group(1, with_image ? with_images(group_of(module)) : group_of(module));
  group.fill(20);
  group.world.run_for(seconds(1));
  group.crash(one);
  group.at_disk(one, [&](runtime::SimulatedDisk& disk) {
    change(disk);
    return true;
  });
  group.boot(one);
  group.world.run_for(seconds(1));
  const auto program = group.program(one);
  if (!program->failed) return "nothing";
  BOOST_TEST(!program->is_open());
  group.fill(1);  // The others go on.
  return program->failed->message();
}
void remove_files(runtime::SimulatedDisk& disk, std::string_view prefix) {
  const std::vector<std::string> names = disk.list("metadata").value();
  for (const std::string& name : names) {
    if (name.starts_with(prefix)) BOOST_REQUIRE(disk.remove("metadata/" + name).has_value());
  }
  BOOST_REQUIRE(disk.sync_directory("metadata").has_value());
}
bool says(const std::string& refusal, std::string_view what) {
  BOOST_TEST_INFO(refusal);
  return refusal.find(what) != std::string::npos;
}

BOOST_DATA_TEST_CASE(a_disk_that_nobody_touched_is_no_reason_to_refuse, all_modules()) {
  BOOST_TEST(refusal_after(sample, false, [](auto&) {}) == "nothing");
  BOOST_TEST(refusal_after(sample, true, [](auto&) {}) == "nothing");
}

BOOST_DATA_TEST_CASE(a_vote_file_of_another_node_is_refused, all_modules()) {
  const std::string refusal = refusal_after(sample, false, [](runtime::SimulatedDisk& disk) {
    BOOST_REQUIRE(disk.remove("metadata/vote").has_value());
    auto votes = VoteStore::open(&disk, "metadata/vote", {NodeId{2}, Uuid{1, 2}});
    BOOST_REQUIRE(votes->save(HardState{Epoch{9}, Epoch{9}, {}, {}}, {}).has_value());
  });
  BOOST_TEST(says(refusal, "the vote in metadata/vote is of node 2"), refusal);
}

BOOST_DATA_TEST_CASE(a_damaged_vote_is_refused, all_modules()) {
  const std::string refusal = refusal_after(sample, false, [](runtime::SimulatedDisk& disk) {
    Bytes vote = *disk.read_file("metadata/vote");
    vote[30] ^= std::byte{1};
    BOOST_REQUIRE(disk.write_file_atomically("metadata/vote", vote).has_value());
  });
  BOOST_TEST(says(refusal, "the vote in metadata/vote: its checksum does not match"), refusal);
}

BOOST_DATA_TEST_CASE(a_log_without_its_vote_is_refused, all_modules()) {
  const std::string refusal = refusal_after(
      sample, false, [](runtime::SimulatedDisk& disk) { remove_files(disk, "vote"); });
  BOOST_TEST(says(refusal, "but no vote is beside it"), refusal);
}

BOOST_DATA_TEST_CASE(a_vote_of_an_epoch_before_the_log_is_refused, all_modules()) {
  const std::string refusal = refusal_after(sample, false, [](runtime::SimulatedDisk& disk) {
    BOOST_REQUIRE(disk.remove("metadata/vote").has_value());
    auto votes = VoteStore::open(&disk, "metadata/vote", {one, Uuid{1, 1}});
    BOOST_REQUIRE(votes->save(HardState{}, {}).has_value());
  });
  BOOST_TEST(says(refusal, "and the vote beside it is of epoch 0"), refusal);
}

// Elections go on until a vote was saved beside a log that had entries; then the log loses its end.
BOOST_DATA_TEST_CASE(a_log_that_lost_its_end_since_the_vote_is_refused, all_modules()) {
  ContractGroup group(1, group_of(sample));
  const auto log_end = [&] {
    return group.at_disk(one, [](runtime::SimulatedDisk& disk) {
      return VoteStore::open(&disk, "metadata/vote", {one, Uuid{1, 1}})->log_end();
    });
  };
  LogId end;
  for (int tries = 0; tries < 20 && end.index < LogIndex{5}; ++tries) {
    group.fill(5);
    const NodeId leader = group.leader_id();
    group.crash(leader);
    group.world.run_for(seconds(3));
    if (leader != one) group.crash(one);
    end = log_end();
    group.boot_all();
  }
  BOOST_REQUIRE((end.index >= LogIndex{5}));
  group.fill(1);
  group.crash(one);
  end = log_end();
  group.at_disk(one, [](runtime::SimulatedDisk& disk) {
    const std::vector<std::string> names = disk.list("metadata").value();
    const auto log =
        std::ranges::find_if(names, [](auto& name) { return name.starts_with("log-"); });
    BOOST_REQUIRE((log != names.end()));
    Bytes bytes = *disk.read_file("metadata/" + *log);
    bytes.resize(bytes.size() / 4);
    BOOST_REQUIRE(disk.write_file_atomically("metadata/" + *log, bytes).has_value());
    return true;
  });
  group.boot(one);
  group.world.run_for(seconds(1));
  const auto program = group.program(one);
  BOOST_REQUIRE(program->failed.has_value());
  BOOST_TEST((program->failed->code == Errc::corrupt));
  const std::string had =
      fmt::format("was saved it had entry {} of epoch {}", end.index, end.epoch);
  BOOST_TEST(says(program->failed->message(), had), program->failed->message());
  group.fill(1);  // The others go on.
}

BOOST_DATA_TEST_CASE(a_vote_whose_log_is_missing_is_refused_with_an_image_or_without,
                     all_modules()) {
  for (const bool with_image : {false, true}) {
    const std::string refusal = refusal_after(
        sample, with_image, [](runtime::SimulatedDisk& disk) { remove_files(disk, "log-"); });
    BOOST_TEST(says(refusal, "the log in metadata is missing, and a vote is beside it"), refusal);
  }
}

BOOST_DATA_TEST_CASE(a_log_whose_image_is_missing_is_refused, all_modules()) {
  if (!sim::capabilities_of(sample.factory).snapshots) return;
  const std::string refusal = refusal_after(
      sample, true, [](runtime::SimulatedDisk& disk) { remove_files(disk, "snapshot-"); });
  BOOST_TEST(says(refusal, "and its snapshot ends at 0"), refusal);
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace qlab::consensus::contract
