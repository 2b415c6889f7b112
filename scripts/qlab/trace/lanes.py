"""What a trace says about each node over time: roles, lives, commits; and messages between them."""

from __future__ import annotations

import bisect
from collections import defaultdict
from dataclasses import dataclass, field

from qlab.trace.events import Event, Trace

LEADS, ASKS, FOLLOWS, IDLE, DOWN = "leads", "asks", "follows", "idle", "down"

# The protocols' own words, by what they amount to.
_CLASSES = {
    "leader": LEADS, "leading": LEADS,
    "candidate": ASKS, "pre_candidate": ASKS, "prospective": ASKS, "looking": ASKS,
    "follower": FOLLOWS, "following": FOLLOWS, "observing": FOLLOWS, "observer": FOLLOWS,
    "down": DOWN, "silent": DOWN,
}
# Kinds that only say that somebody is there; drawn thinner.
BEATS = ("heartbeat", "heartbeat_reply", "ping", "ping_reply")

SILENT_MIN = 100_000_000  # Nanoseconds; the ends of traces are not quite simultaneous.


def class_of(role: str) -> str:
    """leads, asks, follows, down; idle for what is none of them (unattached, resigned)."""
    return _CLASSES.get(role, IDLE)


@dataclass
class Span:
    begin: int
    end: int
    role: str
    epoch: int


@dataclass
class Message:
    source: int
    target: int
    sent: int
    received: int | None  # None: lost, or still under way at the end.
    kind: str
    words: str
    epoch: int


@dataclass
class Lanes:
    begin: int
    end: int
    nodes: list[int]
    spans: dict[int, list[Span]] = field(default_factory=dict)  # Without gaps once it started.
    messages: list[Message] = field(default_factory=list)  # By the time of sending.
    commits: dict[int, list[tuple[int, int]]] = field(default_factory=dict)  # (time, index)
    applies: dict[int, list[tuple[int, int]]] = field(default_factory=dict)
    marks: list[Event] = field(default_factory=list)  # Elections, votes, configurations, images.
    decisions: list[Event] = field(default_factory=list)  # Of the control plane above it.


MARKS = ("election_started", "became_leader", "config_active", "image_taken", "image_received",
         "image_restored", "sim_crash", "sim_boot", "sim_fault", "fatal", "replica_gave_up")
# What a cluster's controller and brokers tell (docs/trace.md), in both designs.
DECISIONS = (
    "controller_active", "controller_inactive", "controller_vacant", "controller_elected",
    "broker_registered", "broker_unfenced", "broker_fenced", "broker_fencing_failed",
    "broker_removed", "broker_handed_over", "metadata_decided", "metadata_committed",
    "metadata_published", "metadata_applied", "partition_change_decided",
    "partition_change_committed", "partition_leader_started", "reload_brokers_read",
    "reload_topics_read", "reload_states_read", "reload_decided", "reload_sent",
    "reload_answered", "control_requests_sent", "znodes_used")


def build(trace: Trace) -> Lanes:
    lanes = Lanes(trace.begin, trace.end, [node for node in trace.nodes if node >= 0])
    for node in lanes.nodes:
        own = [event for event in trace.events if event.node == node]
        lanes.spans[node] = _spans(own, trace.end)
        lanes.commits[node] = [(e.t, e["index"]) for e in own if e.name == "commit"]
        lanes.applies[node] = [(e.t, e["index"]) for e in own if e.name == "applied"]
    lanes.messages = match_messages(trace)
    lanes.marks = trace.named(*MARKS)
    lanes.decisions = trace.named(*DECISIONS)
    return lanes


def fell_silent(own: list[Event], end: int) -> bool:
    """Whether a node told nothing for longer at the end than ever before: killed, or frozen. Needs
    details: a node that tells actions alone is silent for long as a rule."""
    if not any(event.name == "receive" for event in own):
        return False
    longest = max((b.t - a.t for a, b in zip(own, own[1:])), default=0)
    return end - own[-1].t > max(longest, SILENT_MIN)


def _spans(own: list[Event], end: int) -> list[Span]:
    spans: list[Span] = []

    def turn(at: int, role: str, epoch: int) -> None:
        if spans:
            if (spans[-1].role, spans[-1].epoch) == (role, epoch):
                return
            spans[-1].end = at
        spans.append(Span(at, end, role, epoch))

    for event in own:
        if event.name in ("role", "replica_started"):
            turn(event.t, event["role"], event["epoch"])
        elif event.name in ("sim_crash", "replica_gave_up", "fatal"):
            turn(event.t, "down", spans[-1].epoch if spans else 0)
    if spans and spans[-1].role != "down" and fell_silent(own, end):
        turn(own[-1].t, "silent", spans[-1].epoch)
    return [span for span in spans if span.end > span.begin or span is spans[-1]]


class _Pair:
    """What one node sent to another: streams, one after the other, each of which loses a suffix."""

    def __init__(self) -> None:
        self.open_ones: dict[str, list[int]] = defaultdict(list)  # By words: numbers of messages.
        self.stream_of: dict[int, int] = {}
        self.stream = 0
        self.stream_name: tuple | None = None
        self.reached = -1  # The last message that came.
        self.receiving: int | None = None

    def send(self, number: int, words: str, name: tuple) -> None:
        if name != self.stream_name:
            self.stream, self.stream_name = self.stream + 1, name
        self.open_ones[words].append(number)
        self.stream_of[number] = self.stream

    def receive(self, words: str, link: int) -> int | None:
        found = self.open_ones[words]
        if not found:
            return None  # Doubled on the way, or sent before the trace began.
        at = bisect.bisect_right(found, self.reached)
        if self.receiving not in (None, link):  # A new stream: the rest of the one before is lost.
            ended = self.stream_of.get(self.reached, 0)
            while at < len(found) and self.stream_of[found[at]] <= ended:
                at += 1
        self.receiving = link
        if at == len(found):  # Overtaken within its stream; or doubled, and an equal one was lost.
            at -= 1
            if self.stream_of[found[at]] != self.stream_of.get(self.reached):
                return None
        number = found.pop(at)
        self.reached = max(self.reached, number)
        return number


def match_messages(trace: Trace) -> list[Message]:
    """Sends with the receives that belong to them.

    A stream keeps the order, so among equal messages the first one after the last that came is
    meant; where messages overtake each other, the latest before it. Sender and receiver number
    their streams apart, and begin anew when they do.
    """
    messages: list[Message] = []
    pairs: dict[tuple[int, int], _Pair] = defaultdict(_Pair)
    lives: dict[int, int] = defaultdict(int)
    for event in trace.events:
        if event.name == "replica_started":
            lives[event.node] += 1
        elif event.name == "send":
            pairs[event.node, event["peer"]].send(len(messages), event["words"],
                                                  (lives[event.node], event["link"]))
            messages.append(Message(event.node, event["peer"], event.t, None, event["kind"],
                                    event["words"], event["epoch"]))
        elif event.name == "receive":
            number = pairs[event["peer"], event.node].receive(event["words"], event["link"])
            if number is not None:
                messages[number].received = event.t
    return messages
