"""Which files are the project's sources, and their text, for the style checks."""

from __future__ import annotations

import pathlib
import re
import subprocess

ROOT = pathlib.Path(__file__).resolve().parents[1]

_SKIPPED_FOLDERS = re.compile(r"(^|/)(\.git|\.qlab|build[^/]*|results|testdata|node_modules|"
                              r"__pycache__)(/|$)")


def source_files(root: pathlib.Path = ROOT) -> list[str]:
    """Paths relative to the root, sorted: what Git tracks or would track, without data.

    Where there is no Git (an unpacked archive), every file but builds and data.
    """
    listed = subprocess.run(["git", "ls-files", "-co", "--exclude-standard"], cwd=root,
                            capture_output=True, text=True, check=False)
    if listed.returncode == 0 and (root / ".git").exists():
        paths = listed.stdout.splitlines()
    else:
        paths = [str(path.relative_to(root)) for path in root.rglob("*") if path.is_file()]
    # The folder names are matched against the folders, never against the file's own name.
    return sorted(path for path in paths
                  if not _SKIPPED_FOLDERS.search(path.rpartition("/")[0] + "/")
                  and (root / path).is_file())


def is_cpp(path: str) -> bool:
    return path.endswith((".cc", ".h"))


def is_test(path: str) -> bool:
    return path.endswith(("_test.cc", "_test.h"))


_TOKEN = re.compile(
    r'//[^\n]*|/\*.*?\*/'                              # comments
    r'|R"(?P<tag>[^()\s\\]{0,16})\(.*?\)(?P=tag)"'     # raw strings
    r'|"(?:\\.|[^"\\\n])*"'                            # strings
    r"|(?<![0-9a-zA-Z_])'(?:\\.|[^'\\\n])+'"           # characters, but not 1'000
    r"|^[ \t]*#(?:\\\n|[^\n])*",                       # preprocessor lines
    re.DOTALL | re.MULTILINE)


def code_only(text: str) -> str:
    """C++ with comments, literals and preprocessor lines blanked; every line keeps its number."""
    return _TOKEN.sub(lambda found: re.sub(r"[^\n]", " ", found[0]), text)


def line_of(text: str, position: int) -> int:
    return text.count("\n", 0, position) + 1
