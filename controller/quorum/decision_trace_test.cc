// What is told of batches of records.

#include "controller/quorum/decision_trace.h"

#include <boost/algorithm/string/predicate.hpp>
#include <boost/test/unit_test.hpp>

#include "controller/quorum/testing_image.h"

namespace qlab::controller {
namespace {

class Lines final : public runtime::TraceSink {
 public:
  bool enabled() const override { return true; }
  void emit(std::string_view event, std::initializer_list<runtime::TraceField> fields) override {
    std::string line;
    runtime::append_trace_line(line, Time{}, NodeId{1}, event, fields);
    all.push_back(std::move(line));
  }
  Time now() const override { return {}; }

  std::ptrdiff_t count(std::string_view part) const {
    return std::count_if(all.begin(), all.end(), [part](const std::string& line) {
      return boost::algorithm::contains(line, part);
    });
  }

  std::vector<std::string> all;
};

// Tells of the records by which a broker is fenced that leads so many partitions.
Lines told_of_fencing(std::int32_t partitions) {
  TestingImage stage;
  stage.bring_up(1);
  stage.bring_up(2);
  const std::vector<NodeId> replicas{NodeId{1}, NodeId{2}};
  stage.create(assigned_topic("t", std::vector(static_cast<std::size_t>(partitions), replicas)));
  const LongDecision decision = decide_fence(stage.image, NodeId{1}, stage.options);
  const metadata::Records& records = decision.records;
  stage.replay(records);

  Lines lines;
  DecisionTrace trace(lines, Epoch{4}, 7, records, stage.image);
  trace.note_entries({Bytes(100), Bytes(20)});
  trace.committed(LogIndex{9});
  return lines;
}

}  // namespace

BOOST_AUTO_TEST_SUITE(decision_trace)

BOOST_AUTO_TEST_CASE(a_small_batch_is_told_with_each_of_its_changes) {
  const Lines lines = told_of_fencing(2);
  BOOST_TEST(lines.count(R"("event":"partition_change_decided")") == 2);
  BOOST_TEST(lines.count(R"("event":"partition_change_committed")") == 2);
  BOOST_TEST(lines.count(R"("topic":"t","partition":1,"leader":2,"leader_epoch":1)") == 2);
}

BOOST_AUTO_TEST_CASE(a_large_batch_is_told_in_two_lines) {
  const Lines lines = told_of_fencing(17);
  BOOST_TEST(lines.all.size() == 2u);
  BOOST_TEST(lines.count(R"("event":"metadata_decided","epoch":4,"batch":7)") == 1);
  BOOST_TEST(lines.count(R"("leaders":17)") == 2);
  BOOST_TEST(lines.count(R"("entries":2,"bytes":120,"offset":9)") == 1);
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace qlab::controller
