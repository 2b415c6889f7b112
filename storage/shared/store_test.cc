// What the shared log does when the disk fails, and that no old bytes pass for frames.

#include "common/logging.h"
#include "runtime/async.h"
#include "storage/layout.h"
#include "storage/log_fixture.h"
#include "storage/shared/frame.h"

namespace qlab::storage {
namespace {

// Two logs of one shared layout on a simulated disk.
class TwoLogs {
 public:
  template <class Make>
  auto run(Make make) {
    return await(*setup_.world, std::move(make));
  }

  TwoLogs() : setup_(make_setup(false, "buffered")) {
    layout_ = std::move(make_layout("shared", runtime(), *setup_.engine).value());
    must(run([&] { return layout_->start(); }));
    for (const char* name : {"a-0", "b-0"}) {
      logs_.push_back(must(run([&] { return layout_->open({name, TopicId{1, 1}}, {}); })));
    }
  }
  runtime::Runtime& runtime() { return setup_.world->runtime(); }
  Log& log(std::size_t index) { return *logs_[index]; }
  Result<AppendResult> append(std::size_t index) {
    return run([&] { return log(index).append_as_leader(make_batch(1), LeaderEpoch{0}); });
  }
  Result<ReadResult> read(std::size_t index, std::int64_t from) {
    return run([&] { return log(index).read(Offset{from}, Offset{100}, 1); });
  }
  // Every operation of that kind fails, until the next call.
  void fail_at(runtime::DiskOperation operation, int error) {
    setup_.world->set_fault_hook([operation, error](const runtime::DiskAccess& access) {
      const bool hit = error != 0 && access.operation == operation;
      return runtime::DiskFault{.delay = {}, .error = hit ? error : 0, .torn = 0};
    });
  }
  // The errors of all that ends. Requires: nothing is used afterwards.
  std::vector<bool> end() {
    std::vector<bool> well;
    for (const auto& log : logs_) well.push_back(run([&] { return log->close(); }).has_value());
    well.push_back(run([&] { return layout_->stop(); }).has_value());
    return well;
  }

 private:
  TestSetup setup_;
  std::unique_ptr<Layout> layout_;
  std::vector<std::unique_ptr<Log>> logs_;
};

BOOST_AUTO_TEST_SUITE(shared_store)

BOOST_AUTO_TEST_CASE(after_a_failed_sync_no_stream_is_appended_to_and_what_is_durable_is_read) {
  TwoLogs logs;
  must(logs.append(0));
  must(logs.append(1));
  must(logs.run([&] { return logs.log(0).sync(); }));
  must(logs.append(0));
  logs.fail_at(runtime::DiskOperation::sync, EIO);
  const auto failed = logs.run([&] { return logs.log(0).sync(); });
  BOOST_TEST(number(code_of(failed)) == number(Errc::io));
  logs.fail_at(runtime::DiskOperation::sync, 0);
  for (std::size_t i = 0; i < 2; ++i) {
    BOOST_TEST(number(code_of(logs.append(i))) == number(Errc::io));
    BOOST_TEST(must(logs.read(i, 0)).next.value() == 1);
  }
  BOOST_TEST(logs.log(0).durable_end().value() == 1);
  // Nobody knows what the disk has of it.
  BOOST_TEST(number(code_of(logs.read(0, 1))) == number(Errc::io));
  BOOST_TEST((logs.end() == std::vector<bool>{false, false, false}));
}

BOOST_AUTO_TEST_CASE(a_full_disk_refuses_appends_and_cuts_and_the_streams_go_on) {
  TwoLogs logs;
  must(logs.append(0));
  logs.fail_at(runtime::DiskOperation::write, ENOSPC);
  for (std::size_t i = 0; i < 2; ++i) {
    BOOST_TEST(number(code_of(logs.append(i))) == number(Errc::no_space));
  }
  const auto refused = logs.run([&] { return logs.log(0).truncate_to(Offset{0}); });
  BOOST_TEST(number(code_of(refused)) == number(Errc::no_space));
  BOOST_TEST(must(logs.read(0, 0)).next.value() == 1);
  logs.fail_at(runtime::DiskOperation::write, 0);
  BOOST_TEST(must(logs.append(0)).base.value() == 1);
  BOOST_TEST(must(logs.append(1)).base.value() == 0);
  BOOST_TEST((logs.end() == std::vector<bool>{true, true, true}));
}

// A recycled file still holds the frames of its earlier life, each where one may be looked for.
BOOST_AUTO_TEST_CASE(a_frame_of_another_segment_or_place_does_not_pass) {
  Bytes bytes;
  shared::put_frame(bytes, shared::FrameKind::append, shared::StreamId{7}, make_batch(2));
  constexpr std::uint64_t salt = 42;
  const shared::Position own{3, 100};
  const std::uint32_t seed = shared::segment_seed(salt, own.segment);
  BOOST_TEST(shared::seal_frame(bytes, seed, {2, 50}, own) == bytes.size());
  const shared::Frame frame = must(shared::check_frame(bytes, seed, own));
  BOOST_TEST(frame.stream.value() == 7u);
  BOOST_TEST((frame.durable == shared::Position{2, 50}));
  const auto refused = [&](std::uint64_t other_salt, shared::Position at) {
    return number(
        code_of(shared::check_frame(bytes, shared::segment_seed(other_salt, at.segment), at)));
  };
  BOOST_TEST(refused(salt, {4, 100}) == number(Errc::corrupt));
  BOOST_TEST(refused(43, {3, 100}) == number(Errc::corrupt));
  BOOST_TEST(refused(salt, {3, 101}) == number(Errc::corrupt));
  // Every bit is covered: by the frame's checksum, or by the batch's own.
  for (std::size_t i = 0; i < bytes.size(); ++i) {
    Bytes bad = bytes;
    bad[i] ^= std::byte{1};
    BOOST_TEST(!shared::check_frame(bad, seed, own).has_value());
  }
  const auto torn = shared::check_frame(ByteView(bytes).first(bytes.size() - 1), seed, own);
  BOOST_TEST(number(code_of(torn)) == number(Errc::torn));
}

BOOST_AUTO_TEST_CASE(options_of_the_shared_log_out_of_bounds_name_key_value_and_range) {
  SharedOptions options;
  must(options.validate());
  options.segment_bytes = 1;
  BOOST_TEST(options.validate().error().context ==
             "log.shared.segment.bytes=1 is not in [4096, 1073741824]");
  options = {};
  options.bytes_max = 1;
  BOOST_TEST(options.validate().error().context ==
             "log.shared.bytes.max=1 is not in [65536, 68719476736]");
  options.bytes_max = 1u << 20;
  BOOST_TEST(options.validate().error().context ==
             "log.shared.checkpoint.bytes=268435456 is not in [4096, 524288]");
}

// One log of a shared layout with small segments, of which nothing is given up.
class SmallSegments {
 public:
  SmallSegments() : world_(7) {
    options_.shared.segment_bytes = 4096;
    options_.shared.bytes_max = 1u << 20;
    options_.shared.checkpoint_bytes = 512u << 10;
    options_.shared.cache_bytes = 0;
    boot();
  }
  template <class Make>
  auto run(Make make) {
    return await(world_, std::move(make));
  }
  Result<void> start() {
    TRY_VOID(run([&] { return process_->layout->start(); }));
    TRY(process_->log, run([&] { return process_->layout->open({"a-0", TopicId{1, 1}}, {}); }));
    return {};
  }
  void append(int count) {
    for (int i = 0; i < count; ++i) {
      must(run([&] {
        return process_->log->append_as_leader(make_batch(1, 1000 + i, 1000), LeaderEpoch{0});
      }));
    }
    must(run([&] { return process_->log->sync(); }));
  }
  void kill() {
    world_.kill();
    boot();
  }
  // What the first of the files whose names begin so becomes; nothing is removed.
  void change(const std::string& name, std::optional<Bytes> bytes) {
    const std::string path = "shared/0-of-1/" + name;
    if (bytes) must(disk().write_file_atomically(path, *bytes));
    if (!bytes) must(disk().remove(path));
    must(disk().sync_directory("shared/0-of-1"));
  }
  Bytes content(const std::string& name) { return must(disk().read_file("shared/0-of-1/" + name)); }
  std::vector<std::string> files(std::string_view prefix) {
    std::vector<std::string> names = must(disk().list("shared/0-of-1"));
    std::erase_if(names, [&](const std::string& name) { return !name.starts_with(prefix); });
    return names;
  }
  void pass(Duration time) {
    world_.run([&] { return runtime::sleep_for(world_.runtime(), time); });
  }
  void fail_reads_of(std::string part) {
    world_.set_fault_hook([part](const runtime::DiskAccess& access) {
      const bool hit = !part.empty() && access.operation == runtime::DiskOperation::read &&
                       access.path.find(part) != std::string_view::npos;
      return runtime::DiskFault{.delay = {}, .error = hit ? EIO : 0, .torn = 0};
    });
  }
  runtime::Disk& disk() { return world_.runtime().disk(); }
  Log& log() { return *process_->log; }
  Layout& layout() { return *process_->layout; }

 private:
  struct Process {
    std::unique_ptr<Engine> engine;
    std::unique_ptr<Layout> layout;
    std::unique_ptr<Log> log;
  };
  void boot() {
    world_.boot([this] {
      auto process = std::make_shared<Process>();
      process->engine = must(make_engine("buffered", world_.runtime()));
      process->layout = must(make_layout("shared", world_.runtime(), *process->engine, options_));
      process_ = process.get();
      return process;
    });
  }

  SimulatedTestWorld world_;
  LayoutOptions options_;
  Process* process_ = nullptr;
};

BOOST_AUTO_TEST_CASE(a_segment_that_is_missing_is_corruption_and_named) {
  for (const std::size_t missing : {0u, 2u, 5u}) {
    SmallSegments store;
    must(store.start());
    store.append(20);
    store.kill();
    const std::vector<std::string> segments = store.files("wal-");
    BOOST_REQUIRE(segments.size() >= 6u);
    store.change(segments[missing], std::nullopt);
    const Result<void> started = store.start();
    BOOST_TEST(number(code_of(started)) == number(Errc::corrupt));
    BOOST_TEST(started.error().context.find(segments[missing] + " is missing") !=
               std::string::npos);
  }
}

BOOST_AUTO_TEST_CASE(a_segment_that_is_shorter_than_it_was_is_corruption_and_named) {
  SmallSegments store;
  must(store.start());
  store.append(20);
  store.kill();
  const std::string name = store.files("wal-")[2];
  const Bytes whole = store.content(name);
  const shared::Frame first = [&] {
    // The begin frame; cut behind it, what is left is whole.
    shared::Frame frame;
    frame.payload = ByteView(whole).subspan(shared::frame_header_bytes,
                                            shared::encode_begin(shared::Position{}).size());
    return frame;
  }();
  store.change(
      name, Bytes(whole.begin(), whole.begin() + static_cast<std::ptrdiff_t>(first.total_bytes())));
  const Result<void> started = store.start();
  BOOST_TEST(number(code_of(started)) == number(Errc::corrupt));
  BOOST_TEST(started.error().context.find(name + " ends at byte ") != std::string::npos);
}

BOOST_AUTO_TEST_CASE(a_damaged_batch_is_reported_and_not_settled) {
  set_log_level(LogLevel::error);
  SmallSegments store;
  must(store.start());
  store.append(3);
  Bytes bytes = store.content(store.files("wal-").front());
  bytes[bytes.size() / 2] ^= std::byte{1};
  must(store.disk().write_file_atomically("shared/0-of-1/damaged", bytes));
  const auto file = must(store.run(
      [&] { return store.disk().open("shared/0-of-1/" + store.files("wal-").front(), {}); }));
  must(store.run([&] { return file->write(0, std::vector<ByteView>(1, bytes)); }));
  must(store.disk().remove("shared/0-of-1/damaged"));
  store.append(3);
  store.pass(std::chrono::seconds(3));
  BOOST_TEST(store.files("settled-").empty());
  const auto read = store.run([&] { return store.log().read(Offset{1}, Offset{2}, 1u << 20); });
  BOOST_TEST(number(code_of(read)) == number(Errc::corrupt));
  const Result<void> closed = store.run([&] { return store.log().close(); });
  BOOST_TEST(closed.has_value());
  must(store.run([&] { return store.layout().stop(); }));
  BOOST_TEST(store.files("settled-").empty());
  set_log_level(LogLevel::error);
}

BOOST_AUTO_TEST_CASE(settling_goes_on_once_the_disk_reads_again) {
  set_log_level(LogLevel::error);
  SmallSegments store;
  must(store.start());
  store.fail_reads_of("wal-");
  store.append(12);
  store.pass(std::chrono::seconds(10));
  BOOST_TEST(store.files("settled-").empty());
  store.fail_reads_of("");
  store.pass(std::chrono::minutes(2));
  BOOST_TEST(!store.files("settled-").empty());
  const auto read =
      must(store.run([&] { return store.log().read(Offset{0}, Offset{99}, 1u << 20); }));
  BOOST_TEST(read.next.value() == 3);
  must(store.run([&] { return store.log().close(); }));
  must(store.run([&] { return store.layout().stop(); }));
  set_log_level(LogLevel::error);
}

Result<void> started(TestSetup& setup, std::string_view layout, std::size_t shard,
                     std::size_t shard_count) {
  LayoutOptions options;
  options.shard = shard;
  options.shard_count = shard_count;
  auto made = must(make_layout(layout, setup.world->runtime(), *setup.engine, options));
  std::optional<Result<void>> result;
  setup.world->run([&]() -> Task<void> {
    result = co_await made->start();
    if (!*result) co_return;
    const LogName name{fmt::format("t-{}", shard), TopicId{1, 2}};
    auto log = co_await made->open(name, LogOptions{});
    // A log without a record leaves nothing behind.
    Bytes batch = make_batch(1);
    const auto appended = co_await (*log)->append_as_leader(std::move(batch), LeaderEpoch{0});
    BOOST_TEST(appended.has_value());
    static_cast<void>(co_await (*log)->close());
    result = co_await made->stop();
  });
  return *result;
}

BOOST_AUTO_TEST_CASE(the_stores_of_two_shards_lie_apart) {
  TestSetup setup = make_setup(false, "buffered");
  BOOST_TEST(started(setup, "shared", 0, 2).has_value());
  BOOST_TEST(started(setup, "shared", 1, 2).has_value());
  const auto stores = must(setup.world->runtime().disk().list("shared"));
  BOOST_TEST((stores == std::vector<std::string>{"0-of-2", "1-of-2"}));
}

BOOST_AUTO_TEST_CASE(what_another_layout_or_number_of_shards_left_is_not_passed_over) {
  TestSetup setup = make_setup(false, "buffered");
  BOOST_TEST(started(setup, "shared", 0, 1).has_value());
  BOOST_TEST(started(setup, "shared", 0, 2).error().context ==
             "shared/0-of-1 is of another number of shards (num.shards), and this one's end with "
             "-of-2");
  BOOST_TEST(started(setup, "per_partition", 0, 1).error().context ==
             "log.layout=per_partition, and shared/ was made with shared");
  TestSetup other = make_setup(false, "buffered");
  BOOST_TEST(started(other, "per_partition", 0, 1).has_value());
  BOOST_TEST(started(other, "shared", 0, 1).error().context ==
             "log.layout=shared, and t-0 was made with per_partition");
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace qlab::storage
