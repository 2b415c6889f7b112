#!/bin/sh
# Runs clang-tidy (.clang-tidy) over the C++ files given, or over those that changed since a commit:
#   scripts/clang_tidy.sh storage/log.cc
#   scripts/clang_tidy.sh --since main
# Needs ./qlab build before. About 8 s per file.
set -eu
cd -- "$(dirname -- "$0")/.."
if [ ! -f build/compile_commands.json ]; then
  echo "clang_tidy.sh: no build/compile_commands.json: run ./qlab build first" >&2
  exit 1
fi
if [ "${1:-}" = --since ]; then
  commit=${2:?--since needs a commit}
  # File names in this repository have no blanks.
  # shellcheck disable=SC2046
  set -- $(git diff --name-only --diff-filter=d "$commit" -- '*.cc')
fi
if [ $# -eq 0 ]; then
  echo "clang_tidy.sh: no files: name some, or use --since COMMIT" >&2
  exit 2
fi
exec clang-tidy --quiet -p build "$@"
