"""Unavailability windows taken apart, from small traces."""

import numpy as np
import pytest

from experiments import phases

KILL = 1_000_000_000
MS = 1_000_000


def event(ms, node, name, **fields):
    return {"t_ns": KILL + ms * MS, "node": node, "event": name, **fields}


def acks(*ms):
    return np.array([KILL + int(m * MS) for m in ms])


def leader(trace, *at):
    return phases.after_leader_kill(trace, kill_ns=KILL, killed=1, topic="t", partition=0,
                                    acks_ns=acks(*at))


def controller(trace, *at):
    return phases.after_controller_kill(trace, kill_ns=KILL, killed=1, acks_ns=acks(*at))


CHANGE = {"topic": "t", "partition": 0, "leader": 2, "leader_epoch": 5}
LEADER = [event(-50, 2, "broker_fenced", broker=1, reason="session_timeout"),
          event(90, 2, "broker_fenced", broker=3, reason="session_timeout"),
          event(100, 2, "broker_fenced", broker=1, reason="link_down"),
          event(101, 2, "partition_change_decided", **{**CHANGE, "partition": 1}),
          event(105, 2, "partition_change_decided", **CHANGE),
          event(120, 2, "partition_change_committed", **{**CHANGE, "leader_epoch": 4}),
          event(125, 2, "partition_change_committed", **CHANGE),
          event(140, 2, "partition_leader_started", **CHANGE)]


def test_phases_of_a_leader_end_at_its_own_events_and_add_up():
    found = leader(LEADER, -1, 0.5, 152, 153)
    assert found == pytest.approx({"detect": 0.1, "elect": 0.005, "commit": 0.02,
                                   "propagate": 0.015, "first_ack": 0.012, "total": 0.152})


def test_an_ack_that_was_on_its_way_at_the_kill_is_no_sign_of_service():
    assert leader(LEADER, 0.5)["total"] is None
    assert leader(LEADER, 0.5, 150)["total"] == pytest.approx(0.15)


def test_a_missing_event_is_nothing_and_its_time_falls_to_the_next_phase():
    found = leader([e for e in LEADER if e["event"] != "partition_change_committed"], 150)
    assert found["commit"] is None
    assert found["propagate"] == pytest.approx(0.035)
    assert found["total"] == pytest.approx(0.15)


def test_an_event_that_came_early_gives_a_phase_of_zero():
    early = [*LEADER[:-1], event(110, 2, "partition_leader_started", **CHANGE)]
    found = leader(sorted(early, key=lambda e: e["t_ns"]), 150)
    assert found["propagate"] == 0
    assert found["first_ack"] == pytest.approx(0.025)


CONTROLLER = [event(200, 2, "election_started", epoch=7, reason="timeout"),
              event(300, 3, "election_started", epoch=8, reason="timeout"),
              event(310, 3, "became_leader", epoch=8),
              event(311, 3, "leader_known", epoch=8, leader=3),
              event(320, 3, "controller_active", epoch=8),
              event(330, 2, "leader_known", epoch=8, leader=3),
              event(900, 1, "leader_known", epoch=8, leader=3)]


def test_phases_of_a_controller_follow_the_election_that_was_won():
    found = controller(CONTROLLER, 1, 350)
    assert found == pytest.approx({"detect": 0.2, "elect": 0.11, "commit": 0.01, "propagate": 0.01,
                                   "first_ack": 0.02, "total": 0.35})


def test_a_survivor_that_learns_after_the_first_ack_delays_nobody():
    found = controller(CONTROLLER, 1, 325)
    assert found == pytest.approx({"detect": 0.2, "elect": 0.11, "commit": 0.01, "propagate": 0.005,
                                   "first_ack": 0.0, "total": 0.325})


def test_without_a_new_controller_nothing_is_made_up():
    found = controller(CONTROLLER[:1], 2)
    assert found["detect"] == pytest.approx(0.2)
    assert [found[p] for p in ("elect", "commit", "propagate", "first_ack", "total")] == [None] * 5


def test_the_longest_gap_may_reach_over_both_ends():
    times = acks(-5, 10, 20, 120, 400)
    assert phases.longest_gap(times, KILL, KILL + 200 * MS) == pytest.approx(0.28)
    assert phases.longest_gap(times, KILL, KILL + 110 * MS) == pytest.approx(0.1)
    assert phases.longest_gap(acks(), KILL, KILL + 200 * MS) == pytest.approx(0.2)
