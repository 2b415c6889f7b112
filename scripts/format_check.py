#!/usr/bin/env python3
"""Is every C++ file as clang-format would write it? Run by `./qlab test style`.

Only with clang-format 14, Debian 12's: other versions lay some things out differently. Where it is
missing, the check is skipped (status 77) and says so.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys

from sources import ROOT, is_cpp, source_files

VERSION = 14
SKIPPED = 77


def find_clang_format() -> str | None:
    for name in (f"clang-format-{VERSION}", "clang-format"):
        program = shutil.which(name)
        if program:
            said = subprocess.run([program, "--version"], capture_output=True, text=True,
                                  check=False).stdout
            if re.search(rf"version {VERSION}\.", said):
                return program
    return None


def main() -> int:
    program = find_clang_format()
    if program is None:
        print(f"clang-format {VERSION} is not installed (./qlab setup)")
        return SKIPPED
    paths = [path for path in source_files() if is_cpp(path)]
    if not paths:
        return 0
    done = subprocess.run([program, "--dry-run", "--Werror", "--style=file", *paths], cwd=ROOT,
                          capture_output=True, text=True, check=False)
    wrong = sorted(set(re.findall(r"^(\S+?):\d+:\d+: error:", done.stderr, re.MULTILINE)))
    for path in wrong:
        print(f"{path}: clang-format -i {path}")
    if done.returncode != 0 and not wrong:
        print(done.stderr)
    print(f"{len(paths)} files, {len(wrong)} laid out differently")
    return 1 if done.returncode != 0 else 0


if __name__ == "__main__":
    sys.exit(main())
