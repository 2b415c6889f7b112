#pragma once
// A real world for one test: shards over a directory that goes away with it.

#include <filesystem>
#include <functional>
#include <string>

#include <boost/test/unit_test.hpp>
#include <stdlib.h>

#include "runtime/contract_tools.h"
#include "runtime/real/real_runtime.h"

namespace qlab::runtime {

class TestDirectory {
 public:
  TestDirectory() {
    std::string path = std::filesystem::temp_directory_path() / "qlab_test.XXXXXX";
    BOOST_REQUIRE(::mkdtemp(path.data()) != nullptr);
    path_ = path;
  }
  ~TestDirectory() {
    std::error_code ignored;  // What is left lies in the system's own directory for such.
    std::filesystem::remove_all(path_, ignored);
  }
  TestDirectory(const TestDirectory&) = delete;
  TestDirectory& operator=(const TestDirectory&) = delete;

  const std::filesystem::path& path() const { return path_; }

 private:
  std::filesystem::path path_;
};

class TestWorld {
 public:
  explicit TestWorld(std::size_t shards = 1) {
    auto made = RealShards::create({.root = directory_.path() / "data",
                                    .shards = shards,
                                    .cpus = {},
                                    .trace_file = {},
                                    .seed = {}});
    BOOST_REQUIRE_MESSAGE(made.has_value(), why(made));
    shards_ = std::move(*made);
  }

  void run(std::function<Task<void>()> task) { shards_->run(std::move(task)); }
  RealShards& shards() { return *shards_; }
  Runtime& runtime(std::size_t shard = 0) { return shards_->shard(shard); }
  std::filesystem::path root() const { return directory_.path() / "data"; }

 private:
  TestDirectory directory_;
  std::unique_ptr<RealShards> shards_;
};

}  // namespace qlab::runtime
