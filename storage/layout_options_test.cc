// The bounds of a layout's options, and the words that refuse a value.

#include "storage/layout_options.h"

#include "storage/layout.h"
#include "storage/test_world.h"

namespace qlab::storage {
namespace {

BOOST_AUTO_TEST_SUITE(layout_options)

BOOST_AUTO_TEST_CASE(a_value_out_of_bounds_is_refused_with_its_key_and_what_is_allowed) {
  const auto refusal = [](auto change) {
    LayoutOptions options;
    change(options);
    const Result<void> valid = options.validate();
    return valid ? std::string() : valid.error().context;
  };
  BOOST_TEST(refusal([](LayoutOptions&) {}) == "");
  BOOST_TEST(refusal([](LayoutOptions& o) { o.open_files_max = 15; }) ==
             "log.open.files.max=15 is not in [16, 1000000]");
  BOOST_TEST(refusal([](LayoutOptions& o) { o.open_files_max = 1'000'001; }) ==
             "log.open.files.max=1000001 is not in [16, 1000000]");
  BOOST_TEST(refusal([](LayoutOptions& o) { o.recovery_parallelism = 0; }) ==
             "log.recovery.parallelism=0 is not in [1, 256]");
  BOOST_TEST(refusal([](LayoutOptions& o) { o.recovery_parallelism = 257; }) ==
             "log.recovery.parallelism=257 is not in [1, 256]");
  BOOST_TEST(refusal([](LayoutOptions& o) { o.group_sync = GroupSync{2}; }) ==
             "log.group.sync=2 is unknown; allowed are files, filesystem");
}

BOOST_AUTO_TEST_CASE(the_words_of_group_sync_are_files_and_filesystem) {
  BOOST_TEST((must(parse_group_sync("files")) == GroupSync::files));
  BOOST_TEST((must(parse_group_sync("filesystem")) == GroupSync::filesystem));
  BOOST_TEST(parse_group_sync("disk").error().context ==
             "log.group.sync=disk is unknown; allowed are files, filesystem");
}

BOOST_AUTO_TEST_CASE(no_layout_is_made_with_options_out_of_bounds) {
  TestSetup setup = make_setup(false, "memory");
  const LayoutOptions bad{.open_files_max = 1};
  for (const std::string_view name : layout_names()) {
    const auto made = make_layout(name, setup.world->runtime(), *setup.engine, bad);
    BOOST_TEST((code_of(made) == Errc::invalid));
  }
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace qlab::storage
