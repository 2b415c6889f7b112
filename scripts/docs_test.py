"""Code that a page of docs/ shows is compiled: each block is in its source, word for word."""

import re

import pytest

import sources

EXAMPLES = {"docs/add-an-engine.md": "storage/engines/example.cc"}


def blocks(page):
    return re.findall(r"^```cpp\n(.*?)^```$", page, re.MULTILINE | re.DOTALL)


@pytest.mark.parametrize("page, source", EXAMPLES.items())
def test_every_block_of_code_is_in_the_source(page, source):
    code = (sources.ROOT / source).read_text()
    shown = blocks((sources.ROOT / page).read_text())
    assert shown
    for block in shown:
        assert block in code, f"{page} shows what {source} does not have:\n{block}"


def test_a_block_that_was_changed_is_seen():
    assert blocks("text\n```cpp\nint a;\n```\n```\nls\n```\n") == ["int a;\n"]
