#!/usr/bin/env python3
"""Small style checks that need no compiler: sizes, words, clocks, CHECKs.

Run by `./qlab test style`. Sizes ratchet: scripts/tidy_ratchet.txt records what is over a limit
already (`rule place value` per line); it may shrink but not grow, and new places get no entry by
themselves.
"""

from __future__ import annotations

import pathlib
import re
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from functions import cpp_functions, python_functions
from sources import ROOT, code_only, is_cpp, line_of, source_files

LINE_COLUMNS_MAX = 100
FILE_LINES_MAX = 500
FUNCTION_LINES_MAX = 70
RATCHET = ROOT / "scripts" / "tidy_ratchet.txt"

# Where code may read a clock, start a thread or sleep. Everything else asks runtime/runtime.h.
WORLD_ALLOWED: Mapping[str, str] = {
    "runtime/real/": "this is where the real world is",
    "sim/main.cc": "it tells how fast the seeds run",
    "experiments/": "the load generator is a process of its own",
    "storage/bench/": "a measuring program is a process of its own",
    "common/logging.cc": "the time stamp of a log line",
}

_TEXT_FILES = re.compile(
    r".*\.(cc|h|py|sh|proto|md|txt|toml|ini|supp)|.*meson\.build|qlab|\.ci/run")
_CODE_FILES = re.compile(r".*\.(cc|h|py|sh|proto)|.*meson\.build|qlab|\.ci/run")
_WORLD = re.compile(
    r"\b(?:steady|system|high_resolution|utc)_clock::now\b|\bstd::j?thread\b|\bthis_thread\b"
    r"|\b(?:u|nano)?sleep\s*\(\s*(?=[^)\s])|\bclock_gettime\b|\bgettimeofday\b|\bstd::time\b"
    r"|\bstd::random_device\b|\bgetrandom\b|\bs?rand\s*\(|\bstd::async\b")
# Spelled in halves, so that this file may be checked by its own rule.
_UNFINISHED = re.compile(r"\b(?:TO" r"DO|FIX" r"ME|XX" r"X)\b")
_HOME_PATHS = re.compile(r"(?<![\w.])/(?:home|root|Users)/\w")
_CHECK = re.compile(r"\bCHECK(?:_MSG)?\s*\(")
_AND = re.compile(r"&&\s*[\w!(*]")
_CONDITION = re.compile(r"\b(if|while)\s*(?:constexpr\s*)?\(")


@dataclass(frozen=True)
class Finding:
    rule: str
    place: str       # The path, with :function where a function is meant.
    line: int
    message: str
    value: int = 0   # Of a size; ratchets compare it.


Rule = Callable[[str, str], Iterator[Finding]]


def whitespace(path: str, text: str) -> Iterator[Finding]:
    for number, line in enumerate(text.split("\n"), start=1):
        if "\t" in line:
            yield Finding("whitespace", path, number, "a tab")
        if line != line.rstrip():
            yield Finding("whitespace", path, number, "trailing blanks")
    if text and not text.endswith("\n"):
        yield Finding("whitespace", path, text.count("\n") + 1, "no line end at the end")


def words(path: str, text: str) -> Iterator[Finding]:
    for found in _UNFINISHED.finditer(text):
        yield Finding("words", path, line_of(text, found.start()),
                      f"'{found[0]}': finish it, or file an issue")


def absolute_paths(path: str, text: str) -> Iterator[Finding]:
    patterns = [_HOME_PATHS]
    if len(ROOT.parents) > 2:  # The working copy's own place, unless it is as short as /usr.
        patterns.append(re.compile(re.escape(str(ROOT.parent)) + r"/"))
    for pattern in patterns:
        for found in pattern.finditer(text):
            yield Finding("absolute path", path, line_of(text, found.start()),
                          f"'{found[0]}...' exists on one machine only")


def columns(path: str, text: str) -> Iterator[Finding]:
    lines = text.split("\n")
    long = [i + 1 for i, line in enumerate(lines) if len(line) > LINE_COLUMNS_MAX]
    if long and _CODE_FILES.fullmatch(path):
        yield Finding("columns", path, long[0], f"{len(long)} lines of more than "
                      f"{LINE_COLUMNS_MAX} columns: {' '.join(map(str, long))}", len(long))


def file_size(path: str, text: str) -> Iterator[Finding]:
    lines = text.count("\n")
    if _CODE_FILES.fullmatch(path) and lines > FILE_LINES_MAX:
        yield Finding("file", path, 1, f"{lines} lines; at most {FILE_LINES_MAX}: which two nouns "
                      "are in it?", lines)


def function_size(path: str, text: str) -> Iterator[Finding]:
    if is_cpp(path):
        functions = list(cpp_functions(code_only(text)))
    elif path.endswith(".py"):
        functions = list(python_functions(text))
    else:
        return
    for function in functions:
        if function.lines > FUNCTION_LINES_MAX:
            yield Finding("function", f"{path}:{function.name}", function.line,
                          f"{function.name} has {function.lines} lines; at most "
                          f"{FUNCTION_LINES_MAX}", function.lines)


def header_guard(path: str, text: str) -> Iterator[Finding]:
    if path.endswith(".h") and not re.search(r"^#pragma once$", text, re.MULTILINE):
        yield Finding("pragma once", path, 1, "a header without #pragma once")


def world(path: str, text: str) -> Iterator[Finding]:
    if not is_cpp(path) or path.startswith(tuple(WORLD_ALLOWED)):
        return
    code = code_only(text)
    for found in _WORLD.finditer(code):
        yield Finding("world", path, line_of(code, found.start()),
                      f"{found[0].rstrip(' (')}: clocks, threads, sleep and chance come from "
                      "runtime/runtime.h")


def one_condition_per_check(path: str, text: str) -> Iterator[Finding]:
    if not is_cpp(path):
        return
    code = code_only(text)
    for found in _CHECK.finditer(code):
        if _AND.search(_first_argument(code, found.end())):
            yield Finding("CHECK", path, line_of(code, found.start()),
                          "two conditions: one CHECK each, so that the message names the broken "
                          "one")


def await_in_a_condition(path: str, text: str) -> Iterator[Finding]:
    if not is_cpp(path):
        return
    code = code_only(text)
    for found in _CONDITION.finditer(code):
        if re.search(r"\bco_await\b", code[found.end():_closing_parenthesis(code, found.end())]):
            yield Finding("co_await", path, line_of(code, found.start()),
                          f"co_await in the condition of {found[1]}: GCC 12 loses the coroutine's "
                          "frame there at -O2; name the value first")


def _closing_parenthesis(code: str, start: int) -> int:
    """Where the parenthesis ends that was opened just before `start`."""
    depth = 1
    for i in range(start, len(code)):
        depth += (code[i] == "(") - (code[i] == ")")
        if depth == 0:
            return i
    return len(code)


def _first_argument(code: str, start: int) -> str:
    """The text up to the comma or parenthesis that ends the macro's first argument."""
    depth = 0
    for i in range(start, len(code)):
        if code[i] in ")]}" and depth == 0 or code[i] == "," and depth == 0:
            return code[start:i]
        depth += (code[i] in "([{") - (code[i] in ")]}")
    return code[start:]


RULES: tuple[Rule, ...] = (whitespace, words, absolute_paths, columns, file_size, function_size,
                           header_guard, world, one_condition_per_check, await_in_a_condition)


def check(files: Mapping[str, str]) -> list[Finding]:
    return [finding for path, text in files.items() if _TEXT_FILES.fullmatch(path)
            for rule in RULES for finding in rule(path, text)]


def read_ratchet(text: str) -> dict[tuple[str, str], int]:
    entries = {}
    for line in text.splitlines():
        if line.strip() and not line.startswith("#"):
            rule, place, value = line.split()
            entries[rule, place] = int(value)
    return entries


def apply_ratchet(findings: list[Finding], ratchet: Mapping[tuple[str, str], int]) -> list[str]:
    """What remains to complain about: new findings, grown ones, and entries that are too loose."""
    complaints, seen = [], {}
    for finding in findings:
        allowed = ratchet.get((finding.rule, finding.place))
        if allowed is not None and finding.value:
            seen[finding.rule, finding.place] = finding.value
            if finding.value <= allowed:
                continue
        path = finding.place.split(":")[0]
        complaints.append(f"{path}:{finding.line}: {finding.message} [{finding.rule}]")
    for (rule, place), allowed in ratchet.items():
        now = seen.get((rule, place), 0)
        if now < allowed:
            better = f"lower it to {now}" if now else "remove it"
            complaints.append(f"{RATCHET.name}: '{rule} {place} {allowed}' is too loose: {better}")
    return complaints


def main() -> int:
    files = {}
    for path in source_files():
        if _TEXT_FILES.fullmatch(path):
            files[path] = (ROOT / path).read_text(encoding="utf-8")
    ratchet = read_ratchet(pathlib.Path(RATCHET).read_text(encoding="utf-8"))
    complaints = apply_ratchet(check(files), ratchet)
    for complaint in complaints:
        print(complaint)
    print(f"{len(files)} files, {len(complaints)} complaints")
    return 1 if complaints else 0


if __name__ == "__main__":
    sys.exit(main())
