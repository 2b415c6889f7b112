// KRaft's model refuses what a module with a bug does, and names the rule: followers, voters and
// images.
#include <boost/test/data/monomorphic.hpp>
#include <boost/test/data/test_case.hpp>
#include <boost/test/unit_test.hpp>

#include "consensus/config.h"
#include "raft/kraft/model/bugs.h"

namespace qlab::raft::kraft::model {
namespace {

using consensus::Entry;
using consensus::EntryKind;
using consensus::LogId;

Entry change_after(LogId last) {
  consensus::Config config;
  for (int i = 1; i <= 2; ++i) config.members.push_back({NodeId{i}});
  return {{last.epoch, last.index.next()},
          EntryKind::config,
          std::make_shared<const Bytes>(consensus::encode_config(config))};
}

void appends_another_change(const Input&, const Status& status, Effects& effects) {
  for (Effect& effect : Effects(effects)) {
    auto* append = std::get_if<out::Append>(&effect);
    if (append == nullptr || status.role != "leader") continue;
    if (append->entries.back().kind != EntryKind::config) continue;
    effects.push_back(out::Append{append->seq.next(), {change_after(append->entries.back().id)}});
  }
}

void changes_voters_when_elected(const Input&, const Status& status, Effects& effects) {
  for (Effect& effect : Effects(effects)) {
    auto* append = std::get_if<out::Append>(&effect);
    if (append == nullptr || status.role != "leader") continue;
    if (append->entries.back().kind != EntryKind::control) continue;
    effects.push_back(out::Append{append->seq.next(), {change_after(append->entries.back().id)}});
  }
}

void installs_the_first_piece(const Input&, const Status&, Effects& effects) {
  for (const Effect& effect : Effects(effects)) {
    const auto* store = std::get_if<out::StoreSnapshot>(&effect);
    if (store == nullptr || store->bytes->size() == store->meta.size) continue;
    effects.push_back(out::InstallSnapshot{store->seq.next(), store->meta});
  }
}

// The configuration that a leader appends, changed.
auto proposes_voters(std::function<void(consensus::Config&)> change) {
  return changes<out::Append>([change](out::Append& append, const Status& status) {
    for (Entry& entry : append.entries) {
      if (entry.kind != EntryKind::config || status.role != "leader") continue;
      auto config = consensus::decode_config(*entry.body).value();
      change(config);
      entry.body = std::make_shared<const Bytes>(consensus::encode_config(config));
    }
  });
}

void answers_as_a_leader(const Input& input, const Status& status, Effects& effects) {
  const auto rewrite = rewrites<FetchResponse>(
      [](out::Send&, FetchResponse& response) { response.status = FetchStatus::ok; });
  if (status.role != "resigned") rewrite(input, status, effects);
}

const std::vector<Bug> bugs_of_followers = {
    {"fetches on before its log is durable", fetch_durable, makes(hastens<out::Append, Fetch>())},
    {"fetches on before its cut is durable", fetch_durable, makes(hastens<out::Truncate, Fetch>())},
    {"acknowledges more than it has", fetch_end,
     makes(rewrites<Fetch>([](out::Send&, Fetch& fetch) {
       if (fetch.next > LogIndex{1}) fetch.next = fetch.next.next();
     }))},
    {"appends other entries than it was sent", fetched,
     makes(changes<out::Append>([](out::Append& append, const Status& status) {
       if (status.role != "follower") return;
       for (Entry& entry : append.entries) entry.body = std::make_shared<const Bytes>(9);
     }))},
    {"cuts what is committed", committed_stays,
     makes(changes<out::Truncate>([](out::Truncate& cut, const Status& status) {
       if (status.commit > LogIndex{0}) cut.from = LogIndex{1};
     }))},
    {"answers fetches as if it led", who_leads, makes(answers_as_a_leader)},
    {"cuts an entry more than diverges", cut_where_diverging,
     makes(changes<out::Truncate>([](out::Truncate& cut, const Status&) {
       if (cut.from > LogIndex{1}) cut.from = cut.from.prev();
     }))},
    {"commits all that it has", watermark_told,
     hears(mishears<FetchResponse>([](FetchResponse& response, const Status&) {
       if (response.status == FetchStatus::ok) response.high_watermark = LogIndex{1000000};
     }))},
};

const std::vector<Bug> bugs_of_voters = {
    {"adds a voter without a word to its application", voters_in_force,
     makes(drops_with<out::Append, out::ConfigActive>)},
    {"keeps the voters whose entry it cuts", voters_in_force,
     makes(drops_with<out::Truncate, out::ConfigActive>)},
    {"changes two voters at once", one_voter, makes(proposes_voters([](consensus::Config& config) {
       for (consensus::Member& member : config.members) {
         member.role = consensus::MemberRole::observer;
       }
       config.members[0].role = consensus::MemberRole::voter;
     }))},
    {"adds a voter that has fetched nothing", joiner_caught_up,
     makes(proposes_voters(
         [](consensus::Config& config) { config.members.push_back({NodeId{9}}); }))},
    {"changes voters while another change is not committed", one_change,
     makes(appends_another_change)},
    {"changes voters before its leader change is committed", change_in_epoch,
     makes(changes_voters_when_elected)},
};

const std::vector<Bug> bugs_of_images = {
    {"asks for the next piece before the last is durable", fetch_durable,
     makes(hastens<out::StoreSnapshot, FetchSnapshot>())},
    {"asks for a piece further on", image_in_order,
     makes(rewrites<FetchSnapshot>([](out::Send&, FetchSnapshot& request) {
       if (request.position > 0) ++request.position;
     }))},
    {"names an image of what is not committed", image_committed,
     makes(rewrites<FetchResponse>([](out::Send&, FetchResponse& response) {
       if (response.snapshot) response.snapshot->index = LogIndex{1000000};
     }))},
    {"sends an image with other voters", image_committed,
     makes(rewrites<FetchSnapshotResponse>([](out::Send&, FetchSnapshotResponse& response) {
       if (!response.found) return;
       auto config = consensus::decode_config(response.config).value();
       config.members.pop_back();
       response.config = consensus::encode_config(config);
     }))},
    {"sends a piece of something else", image_in_order,
     makes(rewrites<FetchSnapshotResponse>([](out::Send&, FetchSnapshotResponse& response) {
       if (!response.bytes.empty()) response.bytes[0] ^= std::byte{1};
     }))},
    {"keeps a piece of something else", image_in_order,
     makes(changes<out::StoreSnapshot>([](out::StoreSnapshot& store, const Status&) {
       store.bytes = std::make_shared<const Bytes>(store.bytes->size() + 1);
     }))},
    {"puts an image in place that is not whole", image_whole, makes(installs_the_first_piece)},
};

BOOST_AUTO_TEST_SUITE(kraft_model_log)

BOOST_DATA_TEST_CASE(a_bug_of_a_follower_is_refused, bugs_of_followers) {
  BOOST_TEST(refused_otherwise(group_of({}), sample) == "");
}
BOOST_DATA_TEST_CASE(a_bug_in_changes_of_voters_is_refused, bugs_of_voters) {
  BOOST_TEST(refused_otherwise(group_of({.changes = true}), sample) == "");
}
BOOST_DATA_TEST_CASE(a_bug_in_images_is_refused, bugs_of_images) {
  BOOST_TEST(refused_otherwise(group_of({.images = true}), sample) == "");
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace qlab::raft::kraft::model
