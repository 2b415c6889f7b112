#include "consensus/script.h"

#include <filesystem>

#include <boost/test/unit_test.hpp>

#include "zab/messages.h"
#include "zab/model/zab_model.h"
#include "zab/zab.h"

namespace qlab::zab {
namespace {

BOOST_AUTO_TEST_SUITE(zab_scripts)

// An epoch of those scripts that are about its end has room for three entries.
consensus::StepWorld::Factory factory_for(const std::string& name) {
  const ZabOptions options{.counter_max = name.starts_with("zab_rollover") ? 3u : 0xFFFFFFFFu};
  const auto make = [options](consensus::ModuleContext context) {
    return std::make_unique<Zab>(std::move(context), options);
  };
  return consensus::model::watch(make, model::make_zab_model(options.counter_max),
                                 [](const auto& refusal) { BOOST_ERROR(refusal.words()); });
}

BOOST_AUTO_TEST_CASE(every_script_causes_the_steps_it_shows) {
  std::size_t found = 0;
  for (const auto& file : std::filesystem::directory_iterator("zab/testdata")) {
    ++found;
    const auto factory = factory_for(file.path().filename().string());
    const auto difference = consensus::check_script_file(file.path().string(), factory, describe);
    BOOST_TEST_CONTEXT(file.path()) {
      BOOST_TEST((difference ? *difference : difference.error().message()) == "");
    }
  }
  BOOST_TEST(found >= 13u);
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace qlab::zab
