"""The history file: what it keeps through a crash, and what it refuses."""

from __future__ import annotations

import json
import sys
import threading

import pytest

from harness.history import History, HistoryError


def send(history, id_, type_, process=0, **value):
    history.append(type_, process, "send", {"topic": "t", "partition": 0, "id": id_, **value})


def test_what_was_appended_is_loaded_again(tmp_path):
    history = History(tmp_path / "history.jsonl")
    send(history, "a", "invoke")
    history.append("invoke", "nemesis", "kill", {"node": 1})
    send(history, "a", "ok", offset=3)
    assert list(History.load(tmp_path / "history.jsonl")) == list(history)
    assert History.load(tmp_path / "history.jsonl").torn is None


def test_a_torn_last_line_is_ignored_and_said_so_and_appending_goes_on_after_it(tmp_path):
    path = tmp_path / "history.jsonl"
    history = History(path)
    send(history, "a", "invoke")
    send(history, "b", "invoke")
    history.close()
    path.write_bytes(path.read_bytes()[:-5])
    loaded = History.load(path)
    assert len(loaded) == 1 and "torn last line" in loaded.torn
    again = History(path)
    send(again, "c", "invoke")
    assert [op.value["id"] for op in History.load(path)] == ["a", "c"]
    assert [op.index for op in History.load(path)] == [0, 1]


@pytest.mark.parametrize("damage, message", [
    (lambda line: line.replace('"invoke"', '"maybe"'), "2: type is 'maybe'"),
    (lambda line: line.replace('"index":1', '"index":7'), "2: index is 7, not 1"),
    (lambda line: line[:20] + "\n", "2: not an operation"),
])
def test_a_damaged_line_before_the_last_is_an_error_that_names_it(tmp_path, damage, message):
    path = tmp_path / "history.jsonl"
    history = History(path)
    for id_ in "abc":
        send(history, id_, "invoke")
    lines = path.read_text().splitlines(keepends=True)
    path.write_text("".join([lines[0], damage(lines[1]), lines[2]]))
    with pytest.raises(HistoryError, match=message):
        History.load(path)


def test_operations_of_one_process_are_paired_by_their_ids_in_the_order_of_the_invokes():
    history = History()
    for id_ in "abc":
        send(history, id_, "invoke")
    send(history, "c", "ok", offset=0)
    send(history, "a", "fail")
    assert [(s.id, s.outcome, s.offset) for s in history.sends()] == [
        ("a", "fail", None), ("b", "info", None), ("c", "ok", 0)]


def test_a_completion_that_nobody_invoked_and_a_second_invoke_are_errors():
    history = History()
    send(history, "a", "ok", offset=0)
    with pytest.raises(HistoryError, match="was not invoked"):
        history.pairs()
    history = History()
    send(history, "a", "invoke")
    send(history, "a", "invoke")
    with pytest.raises(HistoryError, match="while it is outstanding"):
        history.pairs()


def test_two_histories_join_in_the_order_of_time():
    first, second = History(), History()
    send(first, "a", "invoke")
    send(second, "b", "invoke", process=1)
    send(first, "a", "ok", offset=0)
    joined = first + second
    assert [(op.index, op.type, op.value["id"]) for op in joined] == [
        (0, "invoke", "a"), (1, "invoke", "b"), (2, "ok", "a")]


def test_threads_may_append_at_once_and_no_line_is_torn(tmp_path):
    history = History(tmp_path / "history.jsonl")
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    threads = [threading.Thread(
        target=lambda p=p: [send(history, f"{p}.{i}", "invoke", p) for i in range(200)])
        for p in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    sys.setswitchinterval(interval)
    lines = (tmp_path / "history.jsonl").read_text().splitlines()
    assert [json.loads(line)["index"] for line in lines] == list(range(800))
