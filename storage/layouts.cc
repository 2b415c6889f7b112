// The only file that names the layouts of this build.

#include "storage/layout.h"
#include "storage/per_partition_layout.h"
#include "storage/shared/shared_layout.h"

namespace qlab::storage {
namespace {

struct Entry {
  std::string_view name;
  std::unique_ptr<Layout> (*make)(runtime::Runtime&, Engine&, LayoutOptions);
};

constexpr Entry layouts[] = {
    {"per_partition", make_per_partition_layout},
    {"shared", make_shared_layout},
};

}  // namespace

std::vector<std::string_view> layout_names() {
  std::vector<std::string_view> names;
  for (const Entry& entry : layouts) names.push_back(entry.name);
  return names;
}

Result<std::unique_ptr<Layout>> make_layout(std::string_view name, runtime::Runtime& runtime,
                                            Engine& engine, LayoutOptions options) {
  TRY_VOID(options.validate());
  for (const Entry& entry : layouts) {
    if (entry.name == name) return entry.make(runtime, engine, options);
  }
  return fail(Errc::invalid, "log.layout={} is unknown; allowed are {}", name,
              fmt::join(layout_names(), ", "));
}

}  // namespace qlab::storage
