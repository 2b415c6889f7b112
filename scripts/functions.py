"""Finds function bodies in C++ and Python, to measure them."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass

from sources import line_of


@dataclass(frozen=True)
class Function:
    name: str
    line: int   # Where its head begins.
    lines: int  # From the head to the closing brace.


_TEMPLATE = re.compile(r"\btemplate\s*<(?:[^<>]|<(?:[^<>]|<[^<>]*>)*>)*>")
_ACCESS = re.compile(r"^\s*(?:public|private|protected)\s*:")
_SCOPE = re.compile(r'^\s*(inline\s+)?(namespace|class|struct|union|enum|extern\b(?!.*\())')
_NAME = re.compile(r"([~\w:]+|operator\s*[^\s\w(]+|operator\s*\(\))\s*\(")
_TEST_CASE = re.compile(r"(?:BOOST_\w+_TEST_CASE\w*|TEST\w*)\s*\(\s*(\w+)")


def _name_of(head: str) -> str:
    test = _TEST_CASE.search(head)
    if test:
        return test[1]
    found = _NAME.search(head)
    return found[1] if found else head.strip()[:40]


def cpp_functions(code: str) -> Iterator[Function]:
    """Functions outside other functions, by their braces.

    Requires: comments, literals and preprocessor lines are blank (sources.code_only), and the code
    is formatted: a body's brace follows a space, an initializer's brace does not.
    """
    scopes = 0    # Braces of namespaces and classes around here.
    head = 0      # Where the text since the last ; { or } begins.
    i = 0
    while i < len(code):
        char = code[i]
        if char == ";":
            head = i + 1
        elif char == "}":
            scopes -= 1
            head = i + 1
        elif char == "{":
            text = _TEMPLATE.sub("", _ACCESS.sub("", code[head:i]))
            is_initializer = (i > 0 and (code[i - 1].isalnum() or code[i - 1] in "_>])")) \
                or text.rstrip().endswith(("=", ",", "(", "return"))
            if not is_initializer and (_SCOPE.match(text) or not text.strip()):
                scopes += 1
                head = i + 1
            else:
                end = _matching_brace(code, i)
                if not is_initializer:
                    start = head + len(code[head:i]) - len(code[head:i].lstrip())
                    first, last = line_of(code, start), line_of(code, end)
                    yield Function(_name_of(text), first, last - first + 1)
                    head = end + 1
                i = end
        i += 1


def _matching_brace(code: str, opening: int) -> int:
    depth = 0
    for i in range(opening, len(code)):
        depth += (code[i] == "{") - (code[i] == "}")
        if depth == 0:
            return i
    return len(code) - 1


def python_functions(text: str) -> Iterator[Function]:
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            yield Function(node.name, node.lineno, (node.end_lineno or 0) - node.lineno + 1)
