// ZAB's model refuses bugs in synchronisation: what a learner gets before it is in an epoch.
#include "zab/model/mutants_test.h"

namespace qlab::zab::model {
namespace {

void spoil(out::Append& append) {
  append.entries.back().body = std::make_shared<const Bytes>(9);
}

BOOST_AUTO_TEST_SUITE(zab_model_synchronisation)

BOOST_AUTO_TEST_CASE(a_restart_without_the_epochs_that_were_durable) {
  std::vector<consensus::model::Refusal> refusals;
  const auto watched = consensus::model::watch(
      make_zab, make_zab_model(), [&](const auto& refusal) { refusals.push_back(refusal); });
  bool forgets = false;
  const auto restarts = [&](consensus::ModuleContext context) {
    if (forgets) context.recovery.hard_state = {};
    return watched(std::move(context));
  };
  consensus::StepWorld world(restarts, group_of_three().options);
  for (int id = 1; id <= 3; ++id) world.add(NodeId{id});
  world.advance(std::chrono::seconds(5), true);
  world.crash(NodeId{1});
  BOOST_TEST(refusals.empty());
  forgets = true;
  world.restart(NodeId{1});
  BOOST_REQUIRE(!refusals.empty());
  BOOST_TEST(refusals[0].rule.expected == recovers.expected, refusals[0].words());
}

BOOST_AUTO_TEST_CASE(a_leader_that_does_not_enter_its_epoch) {
  const auto never_enters = [](const Input&, const Status& status, Effects& effects) {
    if (!is_about_to_lead(status) || has_traced(effects, "LeaderProposesEpoch")) return;
    std::erase_if(effects, [](const Effect& effect) {
      return std::holds_alternative<out::SaveHardState>(effect);
    });
  };
  expect_refused(who_leads, makes(never_enters));
}

BOOST_AUTO_TEST_CASE(entries_sent_that_are_not_the_leaders) {
  expect_refused(own_history, rewrites<Diff>([](out::Send&, Diff& diff) {
                   for (Entry& entry : diff.entries) {
                     entry.body = std::make_shared<const Bytes>(9);
                   }
                 }));
}

BOOST_AUTO_TEST_CASE(entries_left_out_of_a_diff) {
  expect_refused(in_order, rewrites<Diff>([](out::Send&, Diff& diff) {
                   if (diff.entries.empty()) return;
                   diff.previous = diff.entries.front().id;
                   diff.entries.erase(diff.entries.begin());
                 }));
}

BOOST_AUTO_TEST_CASE(a_server_that_is_not_cut) {
  expect_refused(in_order, drops<Trunc>());
}

BOOST_AUTO_TEST_CASE(a_cut_of_nothing) {
  expect_refused(trunc_back, mishears<AckEpoch>([](AckEpoch& ack, const Status& status) {
                   if (leads(status)) ack.last.index = ack.last.index.next();
                 }));
}

BOOST_AUTO_TEST_CASE(a_cut_of_more_than_the_leader_said) {
  expect_refused(cuts_excess, alters<out::Truncate>([](out::Truncate& cut, const Status& status) {
                   if (cut.from > status.commit.next()) cut.from = cut.from.prev();
                 }));
}

BOOST_AUTO_TEST_CASE(a_cut_of_what_is_committed) {
  expect_refused(committed_stays,
                 alters<out::Truncate>([](out::Truncate& cut, const Status& status) {
                   if (status.commit > LogIndex{0}) cut.from = status.commit;
                 }));
}

BOOST_AUTO_TEST_CASE(half_an_image_taken_for_whole) {
  const auto installs_early = [](const Input&, const Status&, Effects& effects) {
    for (std::size_t i = 0; i < effects.size(); ++i) {
      const auto* store = std::get_if<out::StoreSnapshot>(&effects[i]);
      if (store == nullptr || store->bytes->size() == store->meta.size) continue;
      effects.push_back(out::InstallSnapshot{{}, store->meta});
      return;
    }
  };
  expect_refused(image_whole, makes(installs_early), group_with_images());
}

BOOST_AUTO_TEST_CASE(an_image_of_what_is_not_committed) {
  expect_refused(image_committed, rewrites<Snap>([](out::Send&, Snap& snap) {
                   snap.image.last.index = snap.image.last.index.next();
                 }),
                 group_with_images());
}

BOOST_AUTO_TEST_CASE(NEWLEADER_before_the_history) {
  expect_refused(history_first, drops<Diff>());
}

BOOST_AUTO_TEST_CASE(entries_of_a_diff_that_are_changed) {
  const auto changes = [](out::Append& append, const Status& status) {
    if (status.role != "leading" && !status.leader) spoil(append);
  };
  expect_refused(takes_diff, alters<out::Append>(changes));
}

BOOST_AUTO_TEST_CASE(currentEpoch_set_when_the_epoch_is_accepted) {
  const auto enters_early = [](const Input& input, const Status& status, Effects& effects) {
    if (!heard<LeaderInfo>(input) || status.role == "looking") return;
    effects.push_back(out::SaveHardState{{}, {status.epoch, status.epoch, {}, {}}});
  };
  expect_refused(enters_epoch, makes(enters_early));
}

BOOST_AUTO_TEST_CASE(an_epoch_entered_without_its_history) {
  const auto skips_diff = [](const Input& input, const Status& status) {
    const auto without = Messages::mishears<Diff>([](Diff& diff, const Status& now) {
      diff.entries.clear();
      diff.previous = now.last;
    });
    const auto agreed = Messages::mishears<NewLeader>(
        [](NewLeader& announced, const Status& now) { announced.last = now.last; });
    return agreed(without(input, status), status);
  };
  expect_refused(same_history, hears(skips_diff));
}

BOOST_AUTO_TEST_CASE(NEWLEADER_acknowledged_before_the_history_is_durable) {
  expect_refused(history_durable, sends_early<AckNewLeader>());
}

BOOST_AUTO_TEST_CASE(service_before_a_quorum_has_the_history) {
  const auto serves_at_once = [](const Input&, const Status& status, Effects& effects) {
    if (!is_about_to_lead(status) || !has_traced(effects, "SyncFollower")) return;
    effects.push_back(out::LeaderKnown{status.epoch, NodeId{3}});  // Who is elected first.
  };
  expect_refused(established, makes(serves_at_once));
}

BOOST_AUTO_TEST_CASE(a_primary_that_is_ready_too_early) {
  expect_refused(activated, alters<out::Activate>([](out::Activate& active, const Status&) {
                   active.ready_at = active.ready_at.prev();
                 }));
}

BOOST_AUTO_TEST_CASE(a_primary_that_is_not_told_of_its_end) {
  const auto keeps_on = [](const Input&, const Status&, Effects& effects) {
    std::erase_if(effects, [](const Effect& effect) {
      return std::holds_alternative<out::Deactivate>(effect);
    });
  };
  expect_refused(deactivated, makes(keeps_on));
}

BOOST_AUTO_TEST_CASE(UPTODATE_before_a_quorum_has_the_history) {
  const auto tells_at_once = [](const Input& input, const Status& status, Effects& effects) {
    const auto ack = heard<AckEpoch>(input);
    if (!ack || !has_traced(effects, "SyncFollower") || !is_about_to_lead(status)) return;
    auto message = std::make_shared<consensus::Message>(
        encode(status.epoch, UpToDate{ack->session, LogIndex{0}}));
    effects.push_back(out::Send{std::get<in::Receive>(input).from, std::move(message), {}});
  };
  expect_refused(up_to_date, makes(tells_at_once));
}

BOOST_AUTO_TEST_CASE(a_leader_known_before_UPTODATE) {
  const auto announces = [](const Input& input, const Status& status, Effects& effects) {
    if (!has_traced(effects, "FollowerProcessNEWLEADER")) return;
    effects.push_back(out::LeaderKnown{status.epoch, std::get<in::Receive>(input).from});
  };
  expect_refused(leader_known, makes(announces));
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace qlab::zab::model
