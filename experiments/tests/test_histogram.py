"""The reader against histograms that other implementations wrote, and against damage."""

import numpy as np
import pytest

from experiments import histogram

# Range 1 to 300, three digits; 100, 200 and 250 once each. Written by
# a port of HdrHistogram to Vala.
THREE_VALUES = "HISTFAAAACV4nJNpmSzMwMDAwQABzFCaEUrp2H+AsI4zMh1lZEpkAgBdIQSk"
# One value, 42; from the tests of HdrHistogram for Go and for JavaScript, packed by other zlibs.
FORTY_TWO = ("HISTFAAAAB542pNpmSzMwMDAxAABzFCaEUoz2X+AMIKZAEARAtM=",
             "HISTFAAAAB94nJNpmSzMwMDABMSMQMzMAAGMUJoJxg9mAgA1TQGm")
EMPTY_20_TO_1000 = "HISTFAAAABl4nJNpmSzMgADMUFoEyn1h/wHCAgBDogN4"


def test_a_histogram_of_another_implementation_is_read():
    h = histogram.decode(THREE_VALUES)
    assert (h.value_min, h.value_max, h.significant_digits) == (1, 300, 3)
    assert np.flatnonzero(h.counts).tolist() == [100, 200, 250]
    assert [h.value_at(q) for q in (0, 0.33, 0.34, 0.5, 0.67, 1)] == [100, 100, 200, 200, 250, 250]


@pytest.mark.parametrize("text", FORTY_TWO)
def test_the_answer_is_the_same_whoever_packed_it(text):
    h = histogram.decode(text)
    assert h.count == 1
    assert h.value_at(0.5) == 42


def test_an_empty_histogram_has_its_range_and_no_values():
    h = histogram.decode(EMPTY_20_TO_1000)
    assert (h.value_min, h.value_max, h.count) == (20, 1000, 0)
    assert h.value_at(0.99) == 0


def test_histograms_merge_bucket_by_bucket():
    one = histogram.decode(THREE_VALUES)
    both = one.merged(one)
    assert both.count == 6
    assert both.value_at(0.5) == 200
    with pytest.raises(histogram.HistogramError, match="different ranges"):
        one.merged(histogram.decode(EMPTY_20_TO_1000))


@pytest.mark.parametrize("text, says", [
    ("!", "not a compressed V2 histogram"), ("SElTVA==", "not a compressed V2"),
    ("AAAAAAAAAAA=", "cookie is 0x0"), (THREE_VALUES[:-8], "not a compressed V2 histogram")])
def test_what_is_no_histogram_is_refused(text, says):
    with pytest.raises(histogram.HistogramError, match=says):
        histogram.decode(text)


def test_a_log_names_the_line_that_is_damaged(tmp_path):
    log = tmp_path / "x.hlog"
    log.write_text(f"#[comment]\nTag=a,0,1,2,{THREE_VALUES}\nTag=a,1,1,2,{THREE_VALUES}\n")
    assert histogram.load_log(log)["a"].count == 6
    log.write_text(f"Tag=a,0,1,2,{THREE_VALUES}\n0,1,2\n")
    with pytest.raises(histogram.HistogramError, match=r"x\.hlog:2"):
        histogram.load_log(log)


def test_buckets_double_in_width_where_the_sub_buckets_run_out():
    ends = histogram.Histogram(1, 3_600_000_000, 3, np.zeros(5000, np.int64)).upper_ends()
    # Steps of 1 up to 2047, of 2 up to 4095, of 4 up to 8191.
    found = [ends[i] for i in (0, 2047, 2048, 3071, 3072, 4095, 4096)]
    assert found == [0, 2047, 2049, 4095, 4099, 8191, 8199]
    coarse = histogram.Histogram(1024, 1 << 30, 3, np.zeros(5000, np.int64)).upper_ends()
    assert [coarse[i] for i in (0, 1, 2048)] == [1023, 2047, 2048 * 1024 + 2047]
