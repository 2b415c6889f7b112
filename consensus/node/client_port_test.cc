// The client port over real sockets, before a driver whose answers the tests choose.

#include "consensus/node/client_port.h"

#include <boost/test/unit_test.hpp>

#include "runtime/frame_reader.h"
#include "runtime/real/test_world.h"
#include "wire/consensus/client_frames.h"

namespace qlab::consensus::node {
namespace {

using wire::consensus::Reply;
using wire::consensus::ReplyFate;
using wire::consensus::Request;
using wire::consensus::RequestKind;

constexpr Duration patience = std::chrono::seconds(30);
constexpr std::size_t reply_bytes_max = 1u << 20;

// Commits what is proposed at once, or says what it is told to say.
class TestDriver final : public Driver {
 public:
  void start(std::function<void(Error)>) override {}
  Task<void> stop() override { co_return; }
  void receive(NodeId, runtime::LinkEpoch, Bytes) override {}
  void link_up(NodeId, runtime::LinkEpoch) override {}
  void link_down(NodeId, runtime::LinkEpoch) override {}
  Task<ProposeResult> propose(std::vector<Bytes> bodies, std::optional<Epoch>) override {
    batches.push_back(bodies.size());
    ProposeResult result = answer;
    if (result.fate == Fate::committed) {
      last_ = last_ + static_cast<std::int64_t>(bodies.size());
      result.at = {Epoch(3), LogIndex(last_)};
    }
    co_return result;
  }
  Task<Result<void>> read_barrier() override {
    if (answer.fate != Fate::committed) co_return fail(Errc::not_leader, "asked elsewhere");
    co_return Result<void>{};
  }
  Task<Result<void>> reconfigure(Config) override { co_return Result<void>{}; }
  Task<Result<void>> transfer(std::optional<NodeId>) override { co_return Result<void>{}; }
  void resign(Epoch) override {}
  Status status() const override { return {}; }
  LogIndex applied() const override { return LogIndex(last_); }
  const Config& config() const override { return config_; }
  const SnapshotMeta& snapshot() const override { return snapshot_; }
  std::uint64_t digest() const override { return 0; }

  ProposeResult answer{.fate = Fate::committed, .at = {}, .hint = {}};
  std::vector<std::size_t> batches;  // How many entries came together.

 private:
  std::int64_t last_ = 0;
  Config config_;
  SnapshotMeta snapshot_;
};

// A reply as a client keeps it.
struct Answer {
  Reply reply;
  std::string body;
};

class Client {
 public:
  explicit Client(std::unique_ptr<runtime::Stream> stream)
      : stream_(std::move(stream)), reader_(*stream_, reply_bytes_max) {}

  Task<void> send(Bytes bytes) {
    std::vector<ByteView> pieces(1, ByteView(bytes));
    const auto sent = co_await stream_->write(pieces);
    BOOST_TEST(sent.has_value());
  }
  // In the order in which they came; fewer when the stream ends.
  Task<std::vector<Answer>> receive(std::size_t count) {
    std::vector<Answer> answers;
    while (answers.size() < count) {
      const auto filled = co_await reader_.fill();
      if (!filled) break;
      while (const auto frame = reader_.take()) {
        const auto reply = wire::consensus::decode_reply(*frame);
        BOOST_REQUIRE(reply.has_value());
        answers.push_back({*reply, std::string(as_text(reply->body))});
      }
    }
    co_return answers;
  }

 private:
  std::unique_ptr<runtime::Stream> stream_;
  runtime::FrameReader reader_;
};

class Bench {
 public:
  explicit Bench(runtime::TestWorld& world)
      : runtime_(world.runtime()), port_(runtime_, driver, machine) {}

  Task<void> open() {
    const runtime::Endpoint anywhere{"127.0.0.1", 0};
    auto listener = co_await runtime_.network().listen(anywhere);
    BOOST_REQUIRE(listener.has_value());
    at_ = (*listener)->local();
    port_.start(std::move(*listener));
  }
  Task<std::unique_ptr<Client>> connect() {
    auto stream = co_await runtime_.network().connect(at_, patience);
    BOOST_REQUIRE(stream.has_value());
    co_return std::make_unique<Client>(std::move(*stream));
  }
  Task<void> close() { return port_.stop(); }

  TestDriver driver;
  Register machine;

 private:
  runtime::Runtime& runtime_;
  ClientPort port_;
  runtime::Endpoint at_;
};

Bytes frames(std::vector<Request> requests) {
  BytesWriter out;
  for (const Request& request : requests) put(out, request);
  return out.take();
}

Task<void> proposals_of_one_read(runtime::TestWorld& world) {
  Bench bench(world);
  co_await bench.open();
  auto client = co_await bench.connect();
  const Bytes sent = frames({{RequestKind::propose, 11, as_view("a")},
                             {RequestKind::propose, 5, as_view("b")},
                             {RequestKind::propose, 7, as_view("c")}});
  co_await client->send(sent);
  const std::vector<Answer> answers = co_await client->receive(3);
  BOOST_REQUIRE(answers.size() == 3u);
  BOOST_TEST(bench.driver.batches == std::vector<std::size_t>{3});
  const std::vector<std::uint64_t> sequences = {11, 5, 7};
  for (std::size_t i = 0; i < 3; ++i) {
    BOOST_TEST(answers[i].reply.sequence == sequences[i]);
    BOOST_TEST((answers[i].reply.fate == ReplyFate::committed));
    BOOST_TEST(answers[i].reply.epoch == 3);
    BOOST_TEST(answers[i].reply.index == static_cast<std::int64_t>(i) + 1);
  }
  co_await bench.close();
}

Task<void> not_the_leader(runtime::TestWorld& world) {
  Bench bench(world);
  co_await bench.open();
  auto client = co_await bench.connect();
  bench.driver.answer = {.fate = Fate::rejected, .at = {}, .hint = NodeId(2)};
  bench.machine.on_leader_known(Epoch(4), NodeId(3));
  const Bytes sent = frames({{RequestKind::propose, 1, as_view("a")}});
  co_await client->send(sent);
  const std::vector<Answer> refused = co_await client->receive(1);
  const Bytes asked = frames({{RequestKind::read, 2, {}}});
  co_await client->send(asked);
  const std::vector<Answer> unread = co_await client->receive(1);
  BOOST_REQUIRE((refused.size() == 1u && unread.size() == 1u));
  BOOST_TEST((refused[0].reply.fate == ReplyFate::rejected));
  BOOST_TEST(refused[0].reply.leader == 2);  // Of the module, which knows better than the machine.
  BOOST_TEST((unread[0].reply.fate == ReplyFate::rejected));
  BOOST_TEST(unread[0].reply.leader == 3);
  BOOST_TEST(unread[0].body.empty());
  co_await bench.close();
}

Task<void> reads_and_status(runtime::TestWorld& world) {
  Bench bench(world);
  co_await bench.open();
  auto client = co_await bench.connect();
  const ByteView text = as_view("value");
  const auto body = std::make_shared<const Bytes>(text.begin(), text.end());
  const Entry entry{{Epoch(1), LogIndex(1)}, EntryKind::data, body};
  bench.machine.apply({entry});
  const Bytes sent = frames({{RequestKind::read, 1, {}}, {RequestKind::status, 2, {}}});
  co_await client->send(sent);
  std::vector<Answer> answers = co_await client->receive(2);
  BOOST_REQUIRE(answers.size() == 2u);
  if (answers[0].reply.kind == RequestKind::status) std::swap(answers[0], answers[1]);
  BOOST_TEST(answers[0].body == "value");
  BOOST_TEST(answers[1].body.ends_with("applied=0 entries=1"));
  co_await bench.close();
}

Task<void> garbage(runtime::TestWorld& world) {
  Bench bench(world);
  co_await bench.open();
  auto bad = co_await bench.connect();
  auto good = co_await bench.connect();
  BytesWriter out;
  out.put(std::uint32_t{9});
  out.put(std::uint8_t{200});  // No kind of request.
  out.put(std::uint64_t{1});
  Bytes broken = out.take();
  co_await bad->send(std::move(broken));
  const std::vector<Answer> none = co_await bad->receive(1);
  BOOST_TEST(none.empty());
  const Bytes sent = frames({{RequestKind::propose, 1, as_view("a")}});
  co_await good->send(sent);
  const std::vector<Answer> answers = co_await good->receive(1);
  BOOST_TEST(answers.size() == 1u);
  co_await bench.close();
}

}  // namespace

BOOST_AUTO_TEST_SUITE(client_port)

BOOST_AUTO_TEST_CASE(proposals_that_come_together_are_proposed_together_and_know_their_places) {
  runtime::TestWorld world;
  world.run([&] { return proposals_of_one_read(world); });
}
BOOST_AUTO_TEST_CASE(who_is_not_the_leader_says_who_is) {
  runtime::TestWorld world;
  world.run([&] { return not_the_leader(world); });
}
BOOST_AUTO_TEST_CASE(a_read_gives_the_register_and_status_a_line) {
  runtime::TestWorld world;
  world.run([&] { return reads_and_status(world); });
}
BOOST_AUTO_TEST_CASE(garbage_ends_its_own_connection_alone) {
  runtime::TestWorld world;
  world.run([&] { return garbage(world); });
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace qlab::consensus::node
