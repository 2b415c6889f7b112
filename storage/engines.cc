// The only file that names the engines of this build.

#include "storage/engine.h"
#include "storage/engines/factories.h"

namespace qlab::storage {
namespace {

struct Entry {
  std::string_view name;
  std::unique_ptr<Engine> (*make)(runtime::Runtime&, const EngineOptions&);
};

constexpr Entry engines[] = {
    {"buffered", make_buffered_engine}, {"mmap", make_mmap_engine},
    {"uring", make_uring_engine},       {"direct", make_direct_engine},
    {"memory", make_memory_engine},     {"null", make_null_engine},
};

}  // namespace

std::vector<std::string_view> engine_names() {
  std::vector<std::string_view> names;
  for (const Entry& entry : engines) names.push_back(entry.name);
  return names;
}

Result<std::unique_ptr<Engine>> make_engine(std::string_view name, runtime::Runtime& runtime,
                                            EngineOptions options) {
  TRY_VOID(options.validate());
  for (const Entry& entry : engines) {
    if (entry.name == name) return entry.make(runtime, options);
  }
  return fail(Errc::invalid, "engine={} is unknown; allowed are {}", name,
              fmt::join(engine_names(), ", "));
}

}  // namespace qlab::storage
