// What the shared log does when the disk fails, and that no old bytes pass for frames.

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
