"""One tiny history per anomaly, a clean one, and the same as properties of random histories."""

from __future__ import annotations

import random
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness import checkers
from harness.checkers import PartitionRead, ReadBack, Validity, Verdict
from harness.history import FAIL, INFO, OK, History, Send


def acked(id_, offset, process=0, partition=0):
    return Send(process, "t", partition, id_, OK, offset)


def log(*ids, start=0, complete=True):
    """Partition t-0 with the given ids at the offsets from `start` on."""
    offsets = list(range(start, start + len(ids)))
    part = PartitionRead(start, start + len(ids), complete, offsets, list(ids))
    return ReadBack({("t", 0): part})


def anomalies(sends, read):
    """Name -> count of every checker that says false."""
    return {n: v.count for n, v in checkers.check(sends, read).items() if v.valid is Validity.FALSE}


def test_a_clean_history_is_valid_for_every_checker():
    sends = [acked("a", 0), acked("b", 1, process=1), Send(0, "t", 0, "c", INFO, None),
             Send(0, "t", 0, "d", FAIL, None), acked("e", 3)]
    verdicts = checkers.check(sends, log("a", "b", "c", "e"))
    assert [v.valid for v in verdicts.values()] == [Validity.TRUE] * len(checkers.ALL)
    checkers.require(sends, log("a", "b", "c", "e"))


@pytest.mark.parametrize("sends, read, expected", [
    pytest.param([acked("a", 0), acked("b", 1)], log("a"), {"lost": 1},
                 id="an acknowledged record beyond the end of the log is lost"),
    pytest.param([acked("a", 0), acked("b", 1), acked("c", 2)],
                 ReadBack({("t", 0): PartitionRead(0, 3, True, [0, 2], ["a", "c"])}), {"lost": 1},
                 id="an acknowledged record that left a hole is lost"),
    pytest.param([acked("a", 0), acked("b", None)], log("a"), {"lost": 1},
                 id="an acknowledged record of unknown offset is lost when the whole log lacks it"),
    pytest.param([acked("a", 0), acked("b", 1)], log("a", "x"),
                 {"lost": 1, "inconsistent_offsets": 1, "unexpected": 1},
                 id="an acknowledged record whose offset has another is lost and inconsistent"),
    pytest.param([acked("a", 0), acked("b", 1)], log("a", "b", "a"), {"duplicated": 1},
                 id="a record at two offsets is duplicated"),
    pytest.param([acked("a", 0), Send(0, "t", 0, "b", INFO, None)], log("a", "b", "b", "b"),
                 {"duplicated": 2}, id="an unacknowledged record may be there once but not thrice"),
    pytest.param([acked("a", 1), acked("b", 0), acked("c", 2)], log("b", "a", "c"),
                 {"reordered": 1}, id="a record before one that its producer sent earlier"),
    pytest.param([acked("a", 0), acked("b", 0)], log("a", "b"), {"inconsistent_offsets": 1},
                 id="one offset acknowledged to two records"),
    pytest.param([acked("a", 0), acked("b", 0)], log(), {"lost": 2, "inconsistent_offsets": 1},
                 id="one offset acknowledged to two records of which neither is there"),
    pytest.param([acked("a", 0), acked("b", 1)],
                 ReadBack({("t", 0): PartitionRead(0, 2, True, [0, 1, 1], ["a", "b", "c"])}),
                 {"inconsistent_offsets": 1, "unexpected": 1}, id="one offset read as two records"),
    pytest.param([acked("a", 5)], log("a"), {"inconsistent_offsets": 1},
                 id="a record at another offset than it was acknowledged at"),
    pytest.param([Send(0, "t", 0, "a", FAIL, None), acked("b", 1)], log("a", "b"),
                 {"aborted_read": 1}, id="a record that certainly failed and is there"),
    pytest.param([acked("a", 0)], log("a", "x"), {"unexpected": 1}, id="a record nobody sent"),
])
def test_each_anomaly_is_found_and_no_other(sends, read, expected):
    assert anomalies(sends, read) == expected


def test_different_producers_may_interleave_and_one_producer_may_reorder_across_partitions():
    sends = [acked("a", 1), acked("b", 0, process=1), acked("c", 0, partition=1), acked("d", 2)]
    read = log("b", "a", "d")
    read.partitions["t", 1] = PartitionRead(0, 1, True, [0], ["c"])
    assert anomalies(sends, read) == {}


def test_the_same_offset_read_twice_is_no_duplicate():
    read = ReadBack({("t", 0): PartitionRead(0, 2, True, [0, 1, 1], ["a", "b", "b"])})
    assert anomalies([acked("a", 0), acked("b", 1)], read) == {}


@pytest.mark.parametrize("read", [
    pytest.param(log("a", complete=False), id="the read stopped before the end"),
    pytest.param(log("b", start=1), id="the log starts later"),
    pytest.param(ReadBack({}), id="the partition was not read"),
])
def test_an_acknowledged_record_outside_the_range_read_makes_the_verdict_unknown(read):
    verdict = checkers.lost([acked("a", 0), acked("b", 1)], read)
    assert (verdict.valid, verdict.count) == (Validity.UNKNOWN, 0)
    assert "outside the ranges read" in verdict.note


def test_a_history_without_acknowledgements_proves_nothing():
    verdict = checkers.lost([Send(0, "t", 0, "a", INFO, None)], log())
    assert verdict.valid is Validity.UNKNOWN
    with pytest.raises(AssertionError, match="nothing to check"):
        checkers.require([], log())


def test_false_is_worse_than_unknown_and_a_verdict_is_no_boolean():
    t, f, u = (Verdict("x", v, 0, 0) for v in (Validity.TRUE, Validity.FALSE, Validity.UNKNOWN))
    assert checkers.worst([t, f, u]) is Validity.FALSE
    assert checkers.worst([t, u]) is Validity.UNKNOWN
    assert checkers.worst([]) is Validity.UNKNOWN
    with pytest.raises(TypeError, match="three values"):
        bool(t)


def test_what_was_read_back_is_saved_and_loaded_whole(tmp_path):
    log("a", "b", start=4, complete=False).save(tmp_path / "log.jsonl")
    assert ReadBack.load(tmp_path / "log.jsonl") == log("a", "b", start=4, complete=False)


@st.composite
def clean_runs(draw):
    """A history and its log as a faultless cluster leaves them: at least 3 acknowledged records."""
    count = draw(st.integers(3, 40))
    fates = draw(st.lists(st.sampled_from([OK, OK, OK, "read", "unread", FAIL]),
                          min_size=count, max_size=count))
    sends, read = [], ReadBack({("t", p): PartitionRead() for p in range(2)})
    for i, fate in enumerate([OK, OK, OK, *fates]):
        process = draw(st.integers(0, 2)) if i >= 3 else 0
        partition = draw(st.integers(0, 1)) if i >= 3 else 0
        part = read.partitions["t", partition]
        if fate in (OK, "read"):
            part.offsets.append(part.end)
            part.ids.append(i)
            part.end += 1
        outcome = {"read": INFO, "unread": INFO}.get(fate, fate)
        offset = part.end - 1 if fate == OK else None
        sends.append(Send(process, "t", partition, i, outcome, offset))
    return sends, read


@given(clean_runs())
def test_nothing_is_found_in_any_clean_run(run):
    sends, read = run
    assert checkers.worst(checkers.check(sends, read).values()) is Validity.TRUE


@given(clean_runs(), st.randoms(use_true_random=False))
def test_a_record_taken_out_of_a_clean_log_is_found_lost(run, rng):
    sends, read = run
    victim = rng.choice([s for s in sends if s.outcome == OK])
    part = read.partitions["t", victim.partition]
    at = part.ids.index(victim.id)
    del part.ids[at], part.offsets[at]
    verdict = checkers.lost(sends, read)
    assert (verdict.valid, verdict.count) == (Validity.FALSE, 1)
    assert verdict.examples[0]["id"] == victim.id


@given(clean_runs(), st.randoms(use_true_random=False))
def test_a_record_written_again_to_a_clean_log_is_found_duplicated(run, rng):
    sends, read = run
    part = read.partitions["t", rng.randrange(2)]
    part.ids.append(rng.choice([i for p in read.partitions.values() for i in p.ids]))
    part.offsets.append(part.end)
    part.end += 1
    assert checkers.duplicated(sends, read).count == 1


@given(clean_runs(), st.randoms(use_true_random=False))
def test_two_acknowledged_records_of_a_producer_swapped_in_the_log_are_found_reordered(run, rng):
    sends, read = run
    part = read.partitions["t", 0]
    mine = [s.id for s in sends if s.outcome == OK and s.process == 0 and s.partition == 0]
    first, second = rng.sample(mine, 2)
    a, b = part.ids.index(first), part.ids.index(second)
    part.ids[a], part.ids[b] = part.ids[b], part.ids[a]
    assert checkers.reordered(sends, read).valid is Validity.FALSE
    assert checkers.inconsistent_offsets(sends, read).count == 2


@given(clean_runs(), st.randoms(use_true_random=False))
def test_an_acknowledgement_with_a_wrong_offset_is_found_inconsistent(run, rng):
    sends, read = run
    at = rng.choice([i for i, s in enumerate(sends) if s.outcome == OK])
    sends[at] = sends[at]._replace(offset=sends[at].offset + 1)
    assert checkers.inconsistent_offsets(sends, read).valid is Validity.FALSE


@given(clean_runs(), st.randoms(use_true_random=False))
def test_an_acknowledged_record_reported_as_failed_is_found_aborted(run, rng):
    sends, read = run
    at = rng.choice([i for i, s in enumerate(sends) if s.outcome == OK])
    sends[at] = sends[at]._replace(outcome=FAIL, offset=None)
    assert checkers.aborted_read(sends, read).count == 1


@settings(max_examples=20)
@given(clean_runs())
def test_a_history_gives_the_same_verdicts_as_its_sends(run):
    sends, read = run
    history = History()
    for s in sends:
        value = {"topic": s.topic, "partition": s.partition, "id": s.id}
        history.append("invoke", s.process, "send", value)
    for s in random.Random(1).sample(sends, len(sends)):
        value = {"topic": s.topic, "partition": s.partition, "id": s.id}
        history.append(s.outcome, s.process, "send", {**value, "offset": s.offset})
    assert checkers.check(history, read) == checkers.check(sends, read)


def test_half_a_million_records_are_checked_in_seconds():
    count = 500_000
    sends = [Send(i % 4, "t", 0, i, OK, i) for i in range(count)]
    read = ReadBack({("t", 0): PartitionRead(0, count, True, list(range(count)),
                                             list(range(count)))})
    start = time.process_time()
    checkers.require(sends, read)
    assert time.process_time() - start < 20  # 3 s here; CPU time, since others share the machine.
