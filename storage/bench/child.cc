#include "storage/bench/child.h"

#include <csignal>
#include <cstdlib>

#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

namespace qlab::storage::bench {

Result<void> run_child(const BenchOptions& options) {
  std::vector<std::string> words = arguments(options);
  words.insert(words.begin(), "qlab-bench-storage");
  std::vector<char*> pointers;
  for (std::string& word : words) pointers.push_back(word.data());
  pointers.push_back(nullptr);
  pid_t child = 0;
  const int error =
      ::posix_spawn(&child, "/proc/self/exe", nullptr, nullptr, pointers.data(), environ);
  if (error != 0) return fail(errno_error(error, "start a process to fill"));
  int status = 0;
  while (::waitpid(child, &status, 0) < 0) {
    if (errno != EINTR) return fail(errno_error(errno, "wait for the process that fills"));
  }
  if (WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL) return {};
  if (WIFEXITED(status) && WEXITSTATUS(status) == 0) return {};
  return fail(Errc::io, "the process that fills ended with status {:#x}", status);
}

void kill_myself() {
  (void)::kill(::getpid(), SIGKILL);
  std::abort();
}

}  // namespace qlab::storage::bench
