#pragma once
// The names of an engine's files, when there is no disk that would know them.

#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace qlab::storage {

template <class File>
class NamedFiles {
 public:
  // Makes it when it is not there. A removed file lives on for who has it open.
  std::shared_ptr<File> open(const std::string& path) {
    std::shared_ptr<File>& file = files_[path];
    if (!file) file = std::make_shared<File>();
    return file;
  }
  // The names in a directory, sorted.
  std::vector<std::string> list(std::string_view directory) const {
    std::vector<std::string> names;
    for (const auto& [path, file] : files_) {
      const std::size_t slash = path.rfind('/');
      const std::string_view parent =
          slash == std::string::npos ? std::string_view{} : std::string_view(path).substr(0, slash);
      if (parent == directory) names.push_back(path.substr(slash + 1));
    }
    return names;
  }
  void remove(std::string_view path) {
    if (const auto found = files_.find(path); found != files_.end()) files_.erase(found);
  }

 private:
  std::map<std::string, std::shared_ptr<File>, std::less<>> files_;
};

}  // namespace qlab::storage
