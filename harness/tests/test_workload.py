"""What a delivery report proves, and how records carry their ids."""

from __future__ import annotations

import struct
import time

import pytest
from confluent_kafka import KafkaError

from harness import logs, waiting, workload


@pytest.mark.parametrize("code, acks, retries, expected", [
    (None, "all", True, "ok"),
    (None, "1", False, "ok"),
    (None, "0", False, "info"),
    (KafkaError._MSG_TIMED_OUT, "all", True, "info"),
    (KafkaError._TRANSPORT, "all", False, "info"),
    (KafkaError.NOT_LEADER_FOR_PARTITION, "all", False, "info"),
    (KafkaError.NOT_ENOUGH_REPLICAS_AFTER_APPEND, "all", False, "info"),
    (KafkaError.REQUEST_TIMED_OUT, "all", False, "info"),
    (KafkaError.NOT_ENOUGH_REPLICAS, "all", False, "fail"),
    (KafkaError.NOT_ENOUGH_REPLICAS, "all", True, "info"),
    (KafkaError.MSG_SIZE_TOO_LARGE, "1", False, "fail"),
    (KafkaError._QUEUE_FULL, "all", True, "fail"),
])
def test_only_what_is_certain_is_ok_or_fail(code, acks, retries, expected):
    error = None if code is None else KafkaError(code)
    assert workload.outcome(error, acks=acks, retries=retries) == expected


def test_a_record_carries_its_id_and_a_strangers_record_is_told_apart():
    assert workload.record_id(b"3.14|......") == "3.14"
    assert workload.record_id(b"no bar") == "?" + b"no bar".hex()
    assert workload.record_id(None) == "?"


def batch(base, count, epoch=0, crc=7):
    body = struct.pack(">ibIhi", epoch, 2, crc, 0, count - 1) + bytes(30)
    return struct.pack(">qi", base, len(body)) + body


def test_the_batches_of_all_segments_are_read_and_what_follows_the_last_is_not(tmp_path):
    (tmp_path / f"{0:020}.log").write_bytes(batch(0, 2) + batch(2, 1, epoch=3) + bytes(99))
    (tmp_path / f"{3:020}.log").write_bytes(batch(3, 5, crc=9) + batch(1, 1))
    assert logs.batches(tmp_path) == [(0, 1, 0, 7), (2, 2, 3, 7), (3, 7, 0, 9)]


def test_a_missing_segment_and_a_cut_batch_are_errors_that_name_the_file(tmp_path):
    (tmp_path / f"{0:020}.log").write_bytes(batch(0, 2))
    (tmp_path / f"{9:020}.log").write_bytes(batch(9, 1))
    with pytest.raises(logs.LogError, match="00009.log: begins at 9"):
        logs.batches(tmp_path)
    (tmp_path / f"{9:020}.log").unlink()
    (tmp_path / f"{0:020}.log").write_bytes(batch(0, 2)[:-1])
    with pytest.raises(logs.LogError, match="00000.log: no whole batch v2 at byte 0"):
        logs.batches(tmp_path)


class ScriptedProducer:
    """Stands in for a RecordingProducer; has a fatal error after so many sends."""

    process = 0

    def __init__(self, fatal_after):
        self.sent, self.fatal_after, self.fatal_error, self.ends = 0, fatal_after, None, []

    def send(self):
        self.sent += 1
        if self.sent == self.fatal_after:
            self.fatal_error = KafkaError(KafkaError.OUT_OF_ORDER_SEQUENCE_NUMBER)

    def poll(self, seconds):
        time.sleep(seconds)

    def give_up(self):
        self.ends.append("given up")

    def finish(self):
        self.ends.append("finished")


def test_a_producer_with_a_fatal_error_is_given_up_for_a_successor_and_remembered():
    first, second = ScriptedProducer(3), ScriptedProducer(None)
    successors = iter([first, second])
    with workload.BackgroundProducer(lambda: next(successors), rate=1_000) as producing:
        waiting.wait_for(lambda: second.sent >= 3, 5, "the successor to send")
    assert (first.sent, first.ends, second.ends) == (3, ["given up"], ["finished"])
    assert [e.code() for e in producing.fatal_errors] == [KafkaError.OUT_OF_ORDER_SEQUENCE_NUMBER]
