#include "common/result.h"

#include <cerrno>
#include <cstring>

namespace qlab {

std::string_view name_of(Errc code) {
  switch (code) {
    case Errc::invalid:
      return "invalid";
    case Errc::corrupt:
      return "corrupt";
    case Errc::torn:
      return "torn";
    case Errc::io:
      return "io";
    case Errc::no_space:
      return "no_space";
    case Errc::not_found:
      return "not_found";
    case Errc::exists:
      return "exists";
    case Errc::out_of_range:
      return "out_of_range";
    case Errc::not_leader:
      return "not_leader";
    case Errc::fenced:
      return "fenced";
    case Errc::unknown_epoch:
      return "unknown_epoch";
    case Errc::not_enough_replicas:
      return "not_enough_replicas";
    case Errc::unsupported:
      return "unsupported";
    case Errc::overloaded:
      return "overloaded";
    case Errc::timed_out:
      return "timed_out";
    case Errc::closed:
      return "closed";
    case Errc::aborted:
      return "aborted";
    case Errc::out_of_sequence:
      return "out_of_sequence";
    case Errc::stale_producer:
      return "stale_producer";
    case Errc::unknown_outcome:
      return "unknown_outcome";
  }
  return "unknown";
}

Error errno_error(int number, std::string_view what) {
  Errc code = Errc::io;
  if (number == ENOSPC || number == EDQUOT) code = Errc::no_space;
  if (number == ENOENT) code = Errc::not_found;
  if (number == EEXIST) code = Errc::exists;
  return Error{code, fmt::format("{}: {}", what, std::strerror(number))};
}

}  // namespace qlab
