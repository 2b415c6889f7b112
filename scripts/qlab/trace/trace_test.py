"""What is told of a trace, held against a small one that is written by hand."""

import json
import re
import xml.etree.ElementTree as xml

import pytest
from click.testing import CliRunner

from qlab.cli import cli
from qlab.trace import events, lanes, perfetto, picture, split, why

MS = 1_000_000


def line(ms, node, event, **fields):
    return json.dumps({"t_ns": 1_000 * MS + round(ms * MS), "node": node, "event": event,
                       **fields})


def protocol(ms, node, action, peer, reason=""):
    return line(ms, node, "protocol", action=action, epoch=1, last_epoch=1, last_index=4,
                peer=peer, reason=reason)


def role(ms, node, word, before, epoch, leader=-1):
    return line(ms, node, "role", role=word, before=before, epoch=epoch, leader=leader,
                last_epoch=1, last_index=4, commit=4)


def message(ms, node, event, peer, words, link=1):
    return line(ms, node, event, peer=peer, link=link, kind=words.split()[0], epoch=1, first=-1,
                last=-1, bytes=8, words=words)


def started(ms, node, word="follower"):
    return line(ms, node, "replica_started", role=word, epoch=1, last_epoch=1, last_index=4,
                applied=4, members="1,2,3,4o", commit_quorum=0)


# Node 1 leads and crashes; node 2 asks, node 3 first hears the leader still and then agrees.
CRASH = [
    started(0, 1, "leader"), started(0, 2), started(0, 3), line(0, 2, "leader_known", epoch=1,
                                                               leader=1),
    message(10, 1, "send", 2, "heartbeat epoch=1"),
    message(11, 2, "receive", 1, "heartbeat epoch=1", link=9),
    message(20, 1, "send", 2, "heartbeat epoch=1"),
    line(21, 1, "sim_crash", lose_unsynced=1, silent=0),
    line(111, 2, "election_started", epoch=2, reason="election_timeout", leader=1,
         silent_us=100_000, linked=0),
    role(111, 2, "pre_candidate", "follower", 1),
    protocol(112, 3, "RefusePreVote", 2, "hears_leader"),
    role(130, 2, "follower", "pre_candidate", 1, leader=1),
    line(200, 2, "election_started", epoch=2, reason="election_timeout", leader=1,
         silent_us=189_000, linked=0),
    role(200, 2, "candidate", "follower", 2),
    protocol(201, 3, "GrantVote", 2),
    role(202, 2, "leader", "candidate", 2, leader=2),
    line(202, 2, "became_leader", epoch=2), line(202, 2, "leader_known", epoch=2, leader=2),
    line(204, 2, "epoch_committed", epoch=2, ready_at=5),
    line(204, 2, "commit", index=5),
]


def test_events_of_many_files_are_merged_and_torn_lines_counted():
    trace = events.parse([line(2, 1, "b"), '{"t_ns": 3, "no', line(1, 2, "a"), ""])
    assert [event.name for event in trace.events] == ["a", "b"]
    assert trace.torn == 1


def test_why_tells_who_asked_what_it_had_heard_who_voted_and_how_it_ended():
    trace = events.parse(CRASH)
    first, second = why.find(trace)
    assert (first.node, first.leader) == (2, None)
    assert "gave up: node 1 still leads epoch 1" in first.outcome
    assert [(v.voter, v.word, v.reason) for v in first.votes] == [(3, "would not", "hears_leader")]
    assert (second.leader, second.epoch) == (2, 2)
    words = why.describe(trace, second, 2)
    assert "at 200.000 ms node 2 wants epoch 2: election_timeout" in words
    assert "of node 1, its leader, it had heard last 189.000 ms before" in words
    assert "`heartbeat epoch=1`" in words
    assert "its link to it was down" in words
    assert "node 1 crashed 179.000 ms before" in words
    assert "+1.000 ms node 3 says yes" in words
    assert "+2.000 ms won: it leads epoch 2" in words
    assert "+4.000 ms its first entry is committed" in words


def test_a_vote_of_zab_is_told_to_all_that_look():
    trace = events.parse([
        line(0, 1, "election_started", epoch=1, reason="started", leader=-1, silent_us=-1,
             linked=0),
        line(1, 2, "election_started", epoch=1, reason="started", leader=-1, silent_us=-1,
             linked=0),
        protocol(2, 1, "FLEVote", 2, "better_than_ours"),
        line(5, 1, "leader_known", epoch=1, leader=2)])
    first, second = why.find(trace)
    assert [(v.voter, v.choice) for v in first.votes] == [(1, 2)]
    assert [(v.voter, v.choice) for v in second.votes] == [(1, 2)]
    assert first.outcome == "lost: it follows node 2 in epoch 1"
    assert second.ended is None


def test_messages_find_their_receipts_in_order_across_lost_suffixes_and_new_streams():
    beat = "heartbeat epoch=1"
    trace = events.parse([
        message(0, 1, "send", 2, beat), message(1, 1, "send", 2, beat),
        message(2, 2, "receive", 1, beat, link=5), message(3, 2, "receive", 1, beat, link=5),
        message(4, 1, "send", 2, beat),  # Lost: the stream broke.
        message(5, 1, "send", 2, beat, link=2), message(6, 2, "receive", 1, beat, link=6),
        message(7, 2, "receive", 1, beat, link=6)])  # Doubled on the way.
    found = [(m.sent // MS - 1000, m.received and m.received // MS - 1000)
             for m in lanes.match_messages(trace)]
    assert found == [(0, 2), (1, 3), (4, None), (5, 6)]


def test_roles_follow_each_other_without_gaps_and_a_crash_ends_one():
    built = lanes.build(events.parse(CRASH))
    assert [(s.role, s.epoch) for s in built.spans[2]] == [
        ("follower", 1), ("pre_candidate", 1), ("follower", 1), ("candidate", 2), ("leader", 2)]
    assert [s.role for s in built.spans[1]] == ["leader", "down"]
    for spans in built.spans.values():
        assert all(a.end == b.begin for a, b in zip(spans, spans[1:]))
        assert spans[-1].end == built.end


def test_a_node_that_was_killed_from_outside_is_silent_from_its_last_event_on():
    trace = events.parse([
        started(0, 1, "leader"), started(0, 2), line(0, 2, "leader_known", epoch=1, leader=1),
        message(20, 1, "receive", 2, "heartbeat_reply epoch=1"),
        message(20, 2, "receive", 1, "heartbeat epoch=1"),
        line(150, 2, "election_started", epoch=2, reason="link_down", leader=1, silent_us=130_000,
             linked=0),
        line(160, 2, "became_leader", epoch=2), line(400, 2, "commit", index=3)])
    built = lanes.build(trace)
    assert [s.role for s in built.spans[1]] == ["leader", "silent"]
    assert [s.role for s in built.spans[2]] == ["follower"]
    assert "node 1 told nothing from 130.000 ms before on" in why.describe(
        trace, why.find(trace)[0], 1)


@pytest.mark.parametrize(("role", "expected"), [
    ("leading", lanes.LEADS), ("looking", lanes.ASKS), ("prospective", lanes.ASKS),
    ("following", lanes.FOLLOWS), ("unattached", lanes.IDLE), ("down", lanes.DOWN)])
def test_the_words_of_all_protocols_have_a_class(role, expected):
    assert lanes.class_of(role) == expected


def entry(node, durable, committed, applied, proposed=0):
    def at(ms):
        return 1_000 * MS + round(ms * MS)
    return line(applied, node, "entry", epoch=1, index=7, proposed=proposed,
                appended_ns=at(0 if proposed else 1), durable_ns=at(durable),
                committed_ns=at(committed), applied_ns=at(applied))


def test_the_split_counts_from_the_proposal_and_a_quorum_is_a_majority_of_the_voters():
    trace = events.parse([started(-1, 1), entry(1, 5, 6, 6.5, proposed=1), entry(2, 3, 8, 9),
                          entry(3, 9, 10, 10)])
    found = {key: values[0] for key, values in split.samples(trace).items()}
    assert found[1, "leader", "locally_durable"] == 5000
    assert found[1, "leader", "quorum_durable"] == 5000  # The second of three, at node 1.
    assert found[1, "leader", "known_committed"] == 6000
    assert found[2, "follower", "locally_durable"] == 3000
    assert found[2, "follower", "applied"] == 9000
    rows = split.rows(trace)
    assert [row.stage for row in rows if row.node == 1] == list(split.STAGES)
    assert rows[0].role == "leader" and rows[0].quantiles_us[0] == 5000


def test_the_picture_is_xml_with_a_lane_for_each_node_and_says_what_each_thing_is():
    svg = picture.draw_svg(lanes.build(events.parse(CRASH)), "a < b")
    root = xml.fromstring(svg)
    texts = [one.text for one in root.iter("{http://www.w3.org/2000/svg}text")]
    titles = [one.text for one in root.iter("{http://www.w3.org/2000/svg}title")]
    assert [text for text in texts if re.fullmatch(r"node \d", text)] == ["node 1", "node 2",
                                                                         "node 3"]
    assert "a < b" in texts and "leader, epoch 1" in texts
    assert any("never came" in title for title in titles)
    assert any("everything up to 5 is committed" in title for title in titles)
    assert svg == picture.draw_svg(lanes.build(events.parse(CRASH)), "a < b")


def test_a_window_leaves_out_what_lies_outside():
    built = lanes.build(events.parse(CRASH))
    svg = picture.draw_svg(built, "t", built.begin + 100 * MS, built.end)
    assert "heartbeat" not in svg.replace("heartbeat, ping", "")
    assert "pre_candidate, epoch 1" in svg


@pytest.mark.parametrize(("span", "step"), [(10, 1), (0.5, 0.05), (5000, 500), (12.1, 2)])
def test_the_axis_has_round_numbers(span, step):
    assert picture.tick_step(span) == pytest.approx(step)


def check_trace_events(told):
    """What the trace-event format asks of each event, and Perfetto of slices and arrows."""
    needed = {"M": {"name", "pid", "tid", "args"}, "X": {"name", "cat", "pid", "tid", "ts", "dur"},
              "C": {"name", "pid", "ts", "args"}, "i": {"name", "pid", "tid", "ts", "s"},
              "s": {"name", "cat", "id", "pid", "tid", "ts"},
              "f": {"name", "cat", "id", "pid", "tid", "ts", "bp"}}
    slices = {}
    for event in told:
        assert needed[event["ph"]] <= event.keys(), event
        assert event.get("ts", 0) >= 0 and event.get("dur", 0) >= 0, event
        assert event["ph"] != "C" or all(isinstance(v, int) for v in event["args"].values())
        if event["ph"] == "X":
            slices.setdefault((event["pid"], event["tid"]), []).append(
                (round(event["ts"] * 1000), round((event["ts"] + event["dur"]) * 1000)))
    for track in slices.values():
        within = []
        for begin, end in sorted(track, key=lambda one: (one[0], -one[1])):
            while within and within[-1] <= begin:
                within.pop()
            assert not within or end <= within[-1], "slices overlap"
            within.append(end)
    for event in told:
        if event["ph"] in "sf":
            at = round(event["ts"] * 1000)
            assert any(b <= at <= e for b, e in slices[event["pid"], event["tid"]]), event
    assert json.loads(json.dumps(told)) == told
    return told


def convert(lines):
    return check_trace_events(perfetto.convert(lanes.build(events.parse(lines)))["traceEvents"])


def test_perfetto_gets_the_messages_of_one_microsecond_as_slices_that_do_not_overlap():
    told = convert([started(0, 1, "leader"), started(0, 2),
                    message(10, 1, "send", 2, "a"), message(10.0004, 1, "send", 2, "b"),
                    message(10.0004, 1, "send", 2, "c"), message(11, 2, "receive", 1, "a"),
                    message(11.0001, 2, "receive", 1, "b")])
    assert sum(e["ph"] == "s" for e in told) == 2


def test_perfetto_gets_what_controllers_and_brokers_tell_on_tracks_of_their_own():
    told = convert([
        started(0, 1, "leader"), line(1, 1, "controller_active", epoch=2),
        line(2, 1, "metadata_decided", epoch=2, batch=1, records=3, leaders=1),
        line(3, 1, "metadata_committed", epoch=2, batch=1, records=3, leaders=1, entries=1,
             bytes=90, offset=7),
        line(5, 1, "metadata_applied", offset=7, shard=0, replicas=3, leaders=1, dropped=0,
             began_ns=1_004 * MS),
        line(6, 1, "metadata_applied", offset=8, shard=1, replicas=3, leaders=1, dropped=0,
             began_ns=1_004 * MS),
        line(7, 1, "metadata_applied", offset=8, shard=0, replicas=3, leaders=1, dropped=0,
             began_ns=1_004.5 * MS)])
    found = [e for e in told if e.get("cat") == "decision"]
    assert [e["name"] for e in found if e["ph"] == "i"] == [
        "controller_active", "metadata_decided", "metadata_committed"]
    assert found[2]["args"]["bytes"] == 90
    assert [(e["ts"], e["dur"]) for e in found if e["ph"] == "X"] == [
        (4000, 1000), (4000, 2000), (5000, 2000)]  # The third waited for the first's shard.
    assert len({e["tid"] for e in found}) == 3


def test_perfetto_gets_roles_arrows_that_meet_and_counters():
    told = convert(CRASH)
    begun = {e["id"] for e in told if e["ph"] == "s"}
    assert begun and begun == {e["id"] for e in told if e["ph"] == "f"}
    assert any(e["ph"] == "X" and e["name"] == "leader e2" and e["pid"] == 2 for e in told)
    assert any(e["ph"] == "C" and e["args"] == {"index": 5} for e in told)
    assert any("never came" in e["name"] for e in told)


@pytest.fixture(name="file")
def crash_file(tmp_path):
    path = tmp_path / "crash.ndjson"
    path.write_text("\n".join(CRASH) + "\n", encoding="utf-8")
    return path


def call(*words):
    return CliRunner().invoke(cli, ["trace", *map(str, words)], prog_name="qlab")


def test_the_commands_write_what_they_say(file, tmp_path):
    assert "2. at 200.000 ms node 2" in call("why", file).output
    rows = [json.loads(one) for one in call("why", file, "--json", "--from", "150").output
            .splitlines()]
    assert [(row["election"], row["won"]) for row in rows] == [(2, True)]
    for output in (tmp_path / "p.svg", tmp_path / "p.html"):
        assert call("picture", file, "--election", 2, "-o", output).exit_code == 0
        assert "<svg" in output.read_text(encoding="utf-8")
    assert call("perfetto", file, "-o", tmp_path / "p.json").exit_code == 0
    assert json.loads((tmp_path / "p.json").read_text(encoding="utf-8"))["traceEvents"]


@pytest.mark.parametrize(("words", "says"), [
    (["picture", "-o", "x.png"], "neither in .svg nor in .html"),
    (["picture", "-o", "x.svg", "--election", "9"], "there are 2"),
    (["picture", "-o", "x.svg", "--from", "5", "--to", "4"], "ends before it begins"),
    (["split"], "--trace-entries-every=N")])
def test_what_cannot_be_is_refused_with_its_reason(file, words, says):
    result = call(words[0], file, *words[1:])
    assert result.exit_code != 0
    assert says in result.output


def test_a_file_that_is_no_trace_is_named(tmp_path):
    path = tmp_path / "notes.txt"
    path.write_text("hello\n", encoding="utf-8")
    assert "notes.txt is no trace" in call("why", path).output


@pytest.mark.parametrize("name", ["why", "split", "picture", "perfetto"])
def test_every_part_explains_itself_with_an_example(name):
    assert f"Example: ./qlab trace {name}" in call(name, "--help").output
