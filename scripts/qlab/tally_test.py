"""Tests of tally.py."""

from qlab.tally import Tally, boost_skip_reasons, tally_program

REPORT = """<TestResult><TestSuite name="Master Test Suite" result="failed">
<TestCase name="one" result="passed"></TestCase>
<TestSuite name="inner" result="failed"><TestCase name="two" result="failed"></TestCase>
<TestCase name="three" result="skipped"></TestCase>
<TestCase name="four" result="aborted"></TestCase></TestSuite></TestSuite></TestResult>"""


def test_every_case_of_a_boost_program_counts():
    tally = tally_program("raft", "FAIL", "", "an error\n" + REPORT)
    assert tally.line() == "1 passed, 2 failed, 1 skipped"
    assert tally.failed == ["raft/inner/two", "raft/inner/four"]


def test_a_skipped_case_carries_the_reason_boost_gave():
    said = 'x.cc(3): Test case "inner/three" is skipped because precondition failed: no io_uring\n'
    tally = tally_program("raft", "FAIL", "", REPORT, boost_skip_reasons(said))
    assert tally.skipped == [("raft/inner/three", "no io_uring")]


def test_a_program_that_died_before_its_report_counts_as_one_failure():
    tally = tally_program("raft", "ERROR", "", "core dumped")
    assert tally.line() == "0 passed, 1 failed, 0 skipped"


def test_a_program_that_failed_after_a_clean_report_is_a_failure():
    clean = '<TestResult><TestCase name="one" result="passed"></TestCase></TestResult>'
    assert tally_program("raft", "FAIL", "", clean).failed == ["raft: FAIL"]


def test_a_skipped_program_gives_its_last_line_as_reason():
    tally = tally_program("format", "SKIP", "checking\nclang-format is not installed\n", "")
    assert tally.skipped == [("format", "clang-format is not installed")]


def test_the_line_counts_what_was_merged():
    tally = Tally()
    tally.merge(tally_program("a", "OK", "", ""))
    tally.merge(tally_program("b", "TIMEOUT", "", ""))
    assert tally.line() == "1 passed, 1 failed, 0 skipped"
