"""Tests of tidy.py: each rule is red for a file that breaks it, and green beside it."""

import pathlib

import pytest

import tidy
from functions import cpp_functions
from sources import code_only


def rules(path, text):
    return [finding.rule for finding in tidy.check({path: text})]


def function_of(lines, head="void f()"):
    return f"{head} {{\n" + "  g();\n" * (lines - 2) + "}\n"


@pytest.mark.parametrize("rule, path, text", [
    ("whitespace", "a/b.cc", "\tint x;\n"),
    ("whitespace", "a/b.cc", "int x; \n"),
    ("whitespace", "a/b.cc", "int x;"),
    ("words", "a/b.py", "# TO" "DO: later\n"),
    ("words", "docs/a.md", "FIX" "ME\n"),
    ("absolute path", "a/b.py", 'x = "/ho' 'me/someone/data"\n'),
    ("absolute path", "a/b.md", "run /ro" "ot/tool\n"),
    ("columns", "a/b.cc", "//" + "x" * 99 + "\n"),
    ("file", "a/b.cc", "\n" * 501),
    ("function", "a/b.cc", function_of(71)),
    ("function", "a/b.py", "def f():\n" + "    g()\n" * 70),
    ("pragma once", "a/b.h", "int f();\n"),
    ("world", "storage/a.cc", "auto t = std::chrono::steady_clock::now();\n"),
    ("world", "storage/a.cc", "std::thread t;\n"),
    ("world", "storage/a_test.cc", "std::this_thread::sleep_for(1s);\n"),
    ("world", "raft/a.cc", "std::random_device seed;\n"),
    ("world", "storage/a.cc", "void f() { ::sleep(1); }\n"),
    ("world", "storage/a.cc", "void f() { usleep( 10); }\n"),
    ("CHECK", "a/b.cc", "void f() { CHECK(a && b); }\n"),
    ("CHECK", "a/b.cc", "void f() { CHECK(x(1, 2) == 3 &&\n        !b); }\n"),
    ("CHECK", "a/b.cc", 'void f() { CHECK_MSG(a && (b), "both"); }\n'),
    ("co_await", "a/b.cc", "Task<void> f() { if (!co_await g()) h(); }\n"),
    ("co_await", "a/b.h", "#pragma once\nTask<void> f() { while (a(b) && co_await g()) h(); }\n"),
    ("co_await", "a/b.cc", "Task<void> f() { if (auto x = co_await\n    g(); !x) h(); }\n"),
])
def test_a_file_that_breaks_the_rule_is_red(rule, path, text):
    assert rules(path, text) == [rule]


@pytest.mark.parametrize("path, text", [
    ("a/b.cc", "//" + "x" * 98 + "\n"),
    ("a/b.cc", "\n" * 500),
    ("a/b.cc", function_of(70)),
    ("a/b.h", "#pragma once\nint f();\n"),
    ("runtime/real/clock.cc", "auto t = std::chrono::steady_clock::now();\n"),
    ("storage/a.cc", '// std::thread\nauto s = "steady_clock::now";\n'),
    ("runtime/a_test.cc", "Task<void> sleep() { co_await sleep_for(r, 1ms); }\n"),
    ("storage/a.cc", "co_await runtime::sleep_for(runtime, 1ms);\n"),
    ("a/b.cc", 'void f() { CHECK_MSG(a, b && c ? "x" : "y"); }\n'),
    ("a/b.cc", "void f() { CHECK(g<T&&>()); }\n"),
    ("a/b.cc", "Task<void> f() { if (g(a)) co_await h(); while (b) co_await h(); }\n"),
    ("a/b.cc", "// if (co_await g())\nTask<void> f() { const bool a = co_await g(); }\n"),
    ("a/b.cc", "Task<void> f() { CO_TRY_VOID(co_await g()); }\n"),
    ("a/b.cc", "#define BOTH(a, b) CHECK(a && b)\n"),
    ("docs/a.md", "see /usr/bin/python3, and " + "long " * 40 + "lines\n"),
    ("docs/a.png", "\t"),
])
def test_a_file_that_keeps_the_rules_is_green(path, text):
    assert rules(path, text) == []


def test_the_place_of_the_working_copy_is_not_in_the_sources(monkeypatch):
    monkeypatch.setattr(tidy, "ROOT", pathlib.Path("/srv/code/qlab"))
    assert rules("a/b.py", 'x = "/srv/code/qlab/build"\n') == ["absolute path"]
    monkeypatch.setattr(tidy, "ROOT", pathlib.Path("/usr/qlab"))  # As short as a place of Debian's.
    assert rules("a/b.py", 'x = "/usr/qlab/build"\n') == []


def test_a_long_function_is_found_behind_everything_that_has_braces():
    text = ("namespace a {\nstruct S {\n  int x{1};\n  std::vector<int> y = {1, 2};\n"
            "  S(int a) : x{a}, y{a} { h(); }\n private:\n  struct T {\n"
            + function_of(80, "template <class T, class U>\n  auto late(T t) -> U")
            + "  };\n};\n}\n"
            + function_of(5, "BOOST_AUTO_TEST_CASE(a_case_is_named)"))
    found = [(function.name, function.lines) for function in cpp_functions(code_only(text))]
    assert found == [("S", 1), ("late", 81), ("a_case_is_named", 5)]


def test_code_without_comments_and_literals_keeps_its_lines():
    text = 'a; // "x\nb("}{", \'{\', R"(\n{)", 1\'000); /* {\n */ c;\n#define X {\nd;\n'
    code = code_only(text)
    assert code.count("\n") == text.count("\n")
    assert "{" not in code
    assert "1'000" in code


RATCHET = {("function", "a/b.cc:f"): 80}


@pytest.mark.parametrize("lines, complaint", [
    (80, None), (81, "f has 81 lines"), (75, "lower it to 75"), (60, "remove it"),
])
def test_what_is_recorded_may_shrink_and_not_grow(lines, complaint):
    found = tidy.apply_ratchet(tidy.check({"a/b.cc": function_of(lines)}), RATCHET)
    assert [complaint in line for line in found[:1]] == ([True] if complaint else [])
