// ZAB's model refuses bugs in election and discovery: who leads, in which epoch, with what history.
#include "zab/model/mutants_test.h"

namespace qlab::zab::model {
namespace {

BOOST_AUTO_TEST_SUITE(zab_model_election)

BOOST_AUTO_TEST_CASE(a_vote_with_a_longer_log_than_there_is) {
  expect_refused(vote_known, rewrites<Notification>([](out::Send&, Notification& n) {
                   if (n.state == PeerState::looking) n.vote.last.index = n.vote.last.index.next();
                 }));
}

BOOST_AUTO_TEST_CASE(an_observer_that_votes_for_itself) {
  expect_refused(vote_of_voter, rewrites<Notification>([](out::Send&, Notification& n) {
                   if (n.vote.leader == no_node) n.vote.leader = NodeId{4};
                 }));
}

BOOST_AUTO_TEST_CASE(a_vote_that_gives_way_to_a_worse_one) {
  const auto echoes = [](const Input& input, const Status& status, Effects& effects) {
    const auto n = heard<Notification>(input);
    if (!n || status.role != "looking" || n->state != PeerState::looking) return;
    auto echo = std::make_shared<consensus::Message>(encode(status.epoch, *n));
    effects.push_back(out::Send{std::get<in::Receive>(input).from, std::move(echo), {}});
  };
  expect_refused(vote_grows, makes(echoes));
}

BOOST_AUTO_TEST_CASE(a_leader_that_only_it_has_voted_for) {
  const auto forgets_others = [](consensus::ModuleContext& context) {
    std::erase_if(context.recovery.config.members,
                  [&](const auto& member) { return member.id != context.self.id; });
  };
  expect_refused(elected, Mutation{}, starts_with(group_of_three(), forgets_others));
}

BOOST_AUTO_TEST_CASE(a_leader_without_weight) {
  MutatedGroup group = group_of_three();
  group.options.config.members[3] = {NodeId{4}, consensus::MemberRole::voter, {}, 0};
  const auto weighs_all = [](consensus::ModuleContext& context) {
    context.recovery.config.members[3].weight = 1;
  };
  expect_refused(weightless, Mutation{}, starts_with(group, weighs_all));
}

BOOST_AUTO_TEST_CASE(a_majority_that_is_no_quorum_of_the_groups) {
  MutatedGroup group{make_zab, [] { return make_zab_model(); }, {}};
  for (const int i : {1, 2, 3, 4, 5}) {
    group.options.config.members.push_back({NodeId{i}});
    group.options.config.members.back().group = static_cast<std::uint32_t>(i / 2);
  }
  const auto counts_heads = [](consensus::ModuleContext& context) {
    for (auto& member : context.recovery.config.members) member.group = 0;
  };
  expect_refused(elected, Mutation{}, starts_with(group, counts_heads));
}

BOOST_AUTO_TEST_CASE(a_follower_that_says_it_leads) {
  expect_refused(state_told, rewrites<Notification>([](out::Send&, Notification& n) {
                   if (n.state == PeerState::following) n.state = PeerState::leading;
                 }));
}

BOOST_AUTO_TEST_CASE(a_configuration_that_never_was) {
  expect_refused(config_told, rewrites<Notification>([](out::Send&, Notification& n) {
                   if (n.config) n.config->members.pop_back();
                 }),
                 group_that_changes());
}

BOOST_AUTO_TEST_CASE(a_promise_that_is_not_told) {
  expect_refused(promise_told, rewrites<FollowerInfo>([](out::Send&, FollowerInfo& info) {
                   info.accepted_epoch = Epoch{0};
                 }));
}

BOOST_AUTO_TEST_CASE(an_epoch_that_no_quorum_asked_for) {
  const auto proposes_at_once = [](const Input&, const Status& status, Effects& effects) {
    if (!has_traced(effects, "FLEDecide") || !is_about_to_lead(status)) return;
    effects.push_back(out::SaveHardState{{}, {status.epoch.next(), Epoch{0}, {}, {}}});
  };
  expect_refused(epoch_proposed, makes(proposes_at_once));
}

BOOST_AUTO_TEST_CASE(an_epoch_that_a_follower_had_accepted) {
  expect_refused(epoch_later, mishears<FollowerInfo>([](FollowerInfo& info, const Status&) {
                   info.accepted_epoch = Epoch{0};
                 }));
}

BOOST_AUTO_TEST_CASE(an_epoch_proposed_before_it_is_durable) {
  expect_refused(epoch_saved_first, sends_early<LeaderInfo>());
}

BOOST_AUTO_TEST_CASE(an_epoch_accepted_that_was_not_proposed) {
  const auto hears_later = [](const Input& input, const Status&) -> Input {
    if (!heard<LeaderInfo>(input)) return input;
    auto receive = std::get<in::Receive>(input);
    auto copy = std::make_shared<consensus::Message>(*receive.message);
    copy->epoch = copy->epoch.next();
    receive.message = std::move(copy);
    return receive;
  };
  expect_refused(epoch_accepted, hears(hears_later));
}

BOOST_AUTO_TEST_CASE(an_epoch_acknowledged_before_it_is_durable) {
  expect_refused(accepted_durable, sends_early<AckEpoch>());
}

BOOST_AUTO_TEST_CASE(an_epoch_accepted_before_that_counts_once_more) {
  expect_refused(accepted_anew,
                 rewrites<AckEpoch>([](out::Send&, AckEpoch& ack) { ack.again = false; }));
}

BOOST_AUTO_TEST_CASE(a_leader_that_counts_who_had_accepted_before) {
  expect_refused(epoch_quorum,
                 mishears<AckEpoch>([](AckEpoch& ack, const Status&) { ack.again = false; }));
}

BOOST_AUTO_TEST_CASE(a_history_that_is_told_shorter_than_it_is) {
  expect_refused(history_told, rewrites<AckEpoch>([](out::Send&, AckEpoch& ack) {
                   if (ack.last.index > LogIndex{0}) ack.last.index = ack.last.index.prev();
                 }));
}

BOOST_AUTO_TEST_CASE(a_history_chosen_before_a_quorum_accepted) {
  const auto begins_at_once = [](const Input&, const Status& status, Effects& effects) {
    if (!has_traced(effects, "LeaderProposesEpoch")) return;
    effects.push_back(out::SaveHardState{{}, {status.epoch, status.epoch, {}, {}}});
  };
  expect_refused(epoch_quorum, makes(begins_at_once));
}

BOOST_AUTO_TEST_CASE(a_leader_that_does_not_see_who_is_ahead) {
  const auto looks_away = mishears<AckEpoch>([](AckEpoch& ack, const Status& status) {
    if (is_about_to_lead(status)) ack.current_epoch = Epoch{0};
  });
  expect_refused(history_latest, looks_away);
}

BOOST_AUTO_TEST_CASE(an_epoch_that_goes_back) {
  const auto begins_anew = [](out::SaveHardState& save, const Status& status) {
    if (status.epoch > Epoch{2}) save.state = {Epoch{1}, Epoch{1}, {}, {}};
  };
  expect_refused(epoch_grows, alters<out::SaveHardState>(begins_anew));
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace qlab::zab::model
