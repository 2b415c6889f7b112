// Raft's model refuses what a module with a bug does, and names the rule.
#include "raft/model/raft_model.h"

#include <boost/test/unit_test.hpp>

#include "consensus/model/mutated_messages.h"
#include "raft/messages.h"
#include "raft/raft.h"

namespace qlab::raft::model {
namespace {

using consensus::Effect;
using consensus::Input;
using consensus::Status;
using consensus::WriteSeq;
using consensus::model::Mutation;
using Effects = std::vector<Effect>;

template <class T>
auto rewrites(std::function<void(out::Send&, T&)> change) {
  return consensus::model::Messages<encode, decode>::rewrites<T>(std::move(change));
}
template <class T>
auto mishears(std::function<void(T&, const Status&)> change) {
  return consensus::model::Messages<encode, decode>::mishears<T>(std::move(change));
}

void answers_on_append(const Input& input, const Status& status, Effects& effects) {
  const auto* propose = std::get_if<in::Propose>(&input);
  if (propose == nullptr || status.role != "leader") return;
  effects.push_back(out::Outcome{propose->request, consensus::Fate::committed, status.last, {}});
}

// Where the leader of a term begins is known by its no-op.
void commits_by_counting(const Input& input, const Status& status, Effects& effects) {
  static std::map<Epoch, LogIndex> begins;
  for (const Effect& effect : effects) {
    const auto* append = std::get_if<out::Append>(&effect);
    if (append == nullptr || append->entries[0].kind != consensus::EntryKind::no_op) continue;
    begins[append->entries[0].id.epoch] = append->entries[0].id.index;
  }
  const auto* receive = std::get_if<in::Receive>(&input);
  if (status.role != "leader" || receive == nullptr) return;
  const Payload payload = decode(*receive->message).value();
  const auto* reply = std::get_if<AppendReply>(&payload);
  if (reply == nullptr || reply->match <= status.commit) return;
  if (reply->match >= begins.at(status.epoch)) return;
  effects.push_back(out::Commit{reply->match, WriteSeq{0}});
}

void commits_at_once(const Input& input, const Status& status, Effects& effects) {
  if (!std::holds_alternative<in::Propose>(input) || status.role != "leader") return;
  effects.push_back(out::Commit{status.last.index, WriteSeq{0}});
}

void cuts_one_more(const Input&, const Status&, Effects& effects) {
  for (Effect& effect : effects) {
    auto* cut = std::get_if<out::Truncate>(&effect);
    if (cut != nullptr && cut->from > LogIndex{1}) cut->from = cut->from.prev();
  }
}

void forgets_its_vote(const Input& input, const Status&, Effects& effects) {
  if (!std::holds_alternative<in::Receive>(input)) return;
  for (Effect& effect : effects) {
    auto* save = std::get_if<out::SaveHardState>(&effect);
    if (save != nullptr) save->state.vote.reset();
  }
}

void reads_at_once(const Input& input, const Status&, Effects& effects) {
  const auto* read = std::get_if<in::Read>(&input);
  if (read != nullptr) effects.assign(1, out::ReadReady{read->request, LogIndex{0}});
}

const Mutation mutations[] = {
    {"votes whatever it said before",
     "HandleRequestVoteRequest",
     "P 5.2",
     {},
     rewrites<VoteReply>([](out::Send&, VoteReply& reply) { reply.granted = !reply.pre_vote; })},
    {"takes every log for the longest", "HandleRequestVoteRequest", "P 5.4.1",
     mishears<VoteRequest>([](VoteRequest& request, const Status& status) {
       request.last = std::max(request.last, status.last);
     })},
    {"votes before that is durable",
     "HandleRequestVoteRequest",
     "P 5.2",
     {},
     rewrites<VoteReply>([](out::Send& send, VoteReply&) { send.after = {}; })},
    {"asks for votes before its own is durable",
     "RequestVote",
     "P 5.2",
     {},
     rewrites<VoteRequest>([](out::Send& send, VoteRequest&) { send.after = {}; })},
    {"does not write down for whom it voted",
     "HandleRequestVoteRequest",
     "P 5.2",
     {},
     forgets_its_vote},
    {"takes a refusal for a vote", "BecomeLeader", "P 5.2",
     mishears<VoteReply>([](VoteReply& reply, const Status&) { reply.granted = !reply.pre_vote; })},
    {"commits by counting whatever term it is of",
     "AdvanceCommitIndex",
     "P 5.4.2",
     {},
     commits_by_counting},
    {"commits what only it has", "AdvanceCommitIndex", "P 5.3", {}, commits_at_once},
    {"commits all that it has as a follower", "HandleAppendEntriesRequest", "P figure 2",
     mishears<AppendRequest>(
         [](AppendRequest& request, const Status&) { request.commit = LogIndex{1000000}; })},
    {"acknowledges before that is durable",
     "HandleAppendEntriesRequest",
     "P 5.3, D 10.2.1",
     {},
     rewrites<AppendReply>([](out::Send& send, AppendReply& reply) {
       if (reply.accepted)
         send.after = WriteSeq{send.after.value() > 0 ? send.after.value() - 1 : 0};
     })},
    {"acknowledges more than it was sent",
     "HandleAppendEntriesRequest",
     "P 5.3",
     {},
     rewrites<AppendReply>(
         [](out::Send&, AppendReply& reply) { reply.match = reply.match.next(); })},
    {"cuts an entry more than conflicts",
     "ConflictAppendEntriesRequest",
     "P 5.3",
     {},
     cuts_one_more},
    {"sends other entries than it has",
     "AppendEntries",
     "P 5.3",
     {},
     rewrites<AppendRequest>([](out::Send&, AppendRequest& request) {
       for (auto& entry : request.entries) entry.body = std::make_shared<const Bytes>(9);
     })},
    {"answers when it has appended", "ClientRequest", "P 5.3", {}, answers_on_append},
    {"reads without asking", "ReadIndex", "D 6.4", {}, reads_at_once},
};

BOOST_AUTO_TEST_SUITE(raft_model)

consensus::model::MutatedGroup group_of_three() {
  consensus::model::MutatedGroup group{make_raft, make_raft_model, {}};
  for (int i = 1; i <= 3; ++i) group.options.config.members.push_back({NodeId{i}});
  group.options.tuning.pre_vote = false;
  return group;
}

BOOST_AUTO_TEST_CASE(a_module_without_a_bug_is_not_refused) {
  consensus::model::MutatedGroup group = group_of_three();
  for (const bool changes : {false, true}) {
    group.changes = group.images = changes;
    const auto refusal = consensus::model::first_refusal(group, {}, 20);
    BOOST_TEST(!refusal.has_value(), (refusal ? refusal->words() : ""));
  }
}

BOOST_AUTO_TEST_CASE(every_bug_is_refused_by_the_rule_that_it_breaks) {
  for (const Mutation& mutation : mutations) {
    BOOST_TEST_CONTEXT(mutation.name) {
      const auto refusal = consensus::model::first_refusal(group_of_three(), mutation, 50);
      BOOST_REQUIRE(refusal.has_value());
      BOOST_TEST_MESSAGE(mutation.name << ": " << refusal->words());
      BOOST_TEST(refusal->rule.action == mutation.action, refusal->words());
      BOOST_TEST(refusal->rule.clause == mutation.clause, refusal->words());
    }
  }
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace qlab::raft::model
