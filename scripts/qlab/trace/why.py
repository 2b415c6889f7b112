"""Why each election began, who voted what and why, how it ended and how long each part took."""

from __future__ import annotations

from dataclasses import dataclass, field

from qlab.trace.events import Event, Trace
from qlab.trace.lanes import fell_silent

_GRANTS = {"GrantPreVote": "would", "GrantVote": "yes"}
_REFUSALS = {"RefusePreVote": "would not", "RefuseVote": "no", "IgnoreVoteRequest": "ignored",
             "RejectStaleRequest": "no"}
_ENDINGS = ("sim_crash", "fatal", "replica_gave_up")
REASONS = {
    "election_timeout": "heard nothing from a leader for the election timeout",
    "link_down": "its link to the leader broke",
    "election_backoff": "lost an election, and its wait is over",
    "fetch_timeout": "no fetch was answered for the fetch timeout",
    "leader_left": "its leader looks for another one",
    "reconfigured": "the configuration changed",
    "transfer": "the leader handed over",
    "handed_over": "it led, and handed over",
    "startup": "it came up",
    "end_quorum_epoch": "the leader said that it leads no more",
    "no_quorum": "it led, and heard of no quorum for too long",
    "init_limit": "discovery or synchronisation took too long",
    "new_stream": "its leader's stream began anew",
    "resign": "it was asked to lead no more",
    "zxid_rollover": "the indexes of the epoch are used up",
}


@dataclass
class Vote:
    at: int
    voter: int
    word: str  # would, yes, would not, no, ignored; for: a vote of ZAB's election.
    reason: str
    choice: int  # For whom.


@dataclass
class Election:
    """One node's wish to lead, from when it began to when it was settled for that node."""

    started: Event
    ended: int | None = None
    outcome: str = "was under way when the trace ended"
    leader: int | None = None
    epoch: int | None = None  # The one that a leader came out of.
    votes: list[Vote] = field(default_factory=list)
    decided: int | None = None  # When the leader knew that it leads.
    committed: int | None = None  # When its epoch's first entry was committed.

    @property
    def node(self) -> int:
        return self.started.node


def find(trace: Trace) -> list[Election]:
    """Every election in the order of their beginning. Several nodes may take part in one contest;
    each has an entry of its own, because each had its own reason."""
    elections: list[Election] = []
    open_ones: dict[int, Election] = {}

    def end(node: int, at: int, outcome: str, leader: int | None = None,
            epoch: int | None = None) -> None:
        election = open_ones.pop(node, None)
        if election is not None:
            election.ended, election.outcome = at, outcome
            election.leader, election.epoch = leader, epoch

    for event in trace.events:
        node = event.node
        if event.name == "election_started":
            end(node, event.t, "came to nothing, and it asked again")
            open_ones[node] = Election(event)
            elections.append(open_ones[node])
        elif event.name == "leader_known":
            leader, epoch = event["leader"], event["epoch"]
            if leader == node:
                end(node, event.t, f"won: it leads epoch {epoch}", leader, epoch)
            else:
                end(node, event.t, f"lost: it follows node {leader} in epoch {epoch}", leader,
                    epoch)
        elif event.name == "role" and event["role"] in ("follower", "unattached"):
            if event["before"] in ("candidate", "pre_candidate", "prospective"):
                end(node, event.t, f"gave up: it is {event['role']} in epoch {event['epoch']}, and "
                    "knows no leader" if event["leader"] < 0 else
                    f"gave up: node {event['leader']} still leads epoch {event['epoch']}")
        elif event.name in _ENDINGS:
            end(node, event.t, "ended with a crash")
        elif event.name == "protocol":
            _take_vote(event, open_ones)
    _take_phases(trace, elections)
    return elections


def _take_vote(event: Event, open_ones: dict[int, Election]) -> None:
    action, peer, reason = event["action"], event["peer"], event["reason"]
    if action == "FLEVote":  # Everybody that looks hears of it.
        vote = Vote(event.t, event.node, "for", reason, peer)
        for election in open_ones.values():
            election.votes.append(vote)
        return
    word = _GRANTS.get(action) or _REFUSALS.get(action)
    if word is not None and peer in open_ones:
        open_ones[peer].votes.append(Vote(event.t, event.node, word, reason, peer))


def _take_phases(trace: Trace, elections: list[Election]) -> None:
    became = {(e.node, e["epoch"]): e.t for e in trace.named("became_leader")}
    committed = {(e.node, e["epoch"]): e.t for e in trace.named("epoch_committed")}
    for election in elections:
        if election.leader is None:
            continue
        election.decided = became.get((election.leader, election.epoch))
        election.committed = committed.get((election.leader, election.epoch))


def ms(nanoseconds: int) -> str:
    return f"{nanoseconds / 1e6:.3f} ms"


def _cause(trace: Trace, election: Election) -> str:
    """What became of the leader that it knew, as far as the trace tells."""
    leader, since = election.started.get("leader", -1), election.started.t
    last = None
    for event in trace.events:
        if event.t > since:
            break
        if event.node == election.node and event.name == "leader_known":
            last = None  # What was before led to that.
        elif event.node == leader and event.name in (*_ENDINGS, "deactivated", "replica_started"):
            last = event
    if last is None:
        told = [event for event in trace.events if event.node == leader]
        if told and told[-1].t < since and fell_silent(told, trace.end):
            return f"node {leader} told nothing from {ms(since - told[-1].t)} before on: killed, " \
                   "or frozen"
        return ""
    what = {"sim_crash": "crashed", "fatal": "could not go on", "replica_gave_up": "gave up",
            "deactivated": "stepped down", "replica_started": "came up anew"}[last.name]
    return f"node {leader} {what} {ms(since - last.t)} before"


def _last_words(trace: Trace, election: Election) -> str:
    leader = election.started.get("leader", -1)
    last = None
    for event in trace.events:
        if event.t > election.started.t:
            break
        if event.name == "receive" and event.node == election.node and event["peer"] == leader:
            last = event
    return f", `{last['words']}`" if last is not None else ""


def describe(trace: Trace, election: Election, number: int) -> str:
    event = election.started
    reason = event["reason"]
    lines = [f"{number}. at {ms(event.t - trace.begin)} node {event.node} wants epoch "
             f"{event['epoch']}: {reason}" + (f" ({REASONS[reason]})" if reason in REASONS else "")]
    leader = event.get("leader", -1)
    if leader < 0:
        lines.append("   it had known no leader in this life")
    elif leader == event.node:
        lines.append("   it had led itself")
    else:
        silent = event.get("silent_us", -1)
        heard = "nothing" if silent < 0 else f"last {silent / 1000:.3f} ms before"
        link = "" if event.get("linked", 1) else "; its link to it was down"
        lines.append(f"   of node {leader}, its leader, it had heard {heard}"
                     f"{_last_words(trace, election) if silent >= 0 else ''}{link}")
    cause = _cause(trace, election)
    if cause:
        lines.append(f"   {cause}")
    for vote in election.votes:
        why = f" ({vote.reason})" if vote.reason else ""
        what = f"votes for node {vote.choice}" if vote.word == "for" else f"says {vote.word}"
        lines.append(f"   +{ms(vote.at - event.t)} node {vote.voter} {what}{why}")
    if election.ended is None:
        lines.append(f"   {election.outcome}")
        return "\n".join(lines)
    lines.append(f"   +{ms(election.ended - event.t)} {election.outcome}")
    if election.leader == election.node and election.committed is not None:
        lines.append(f"   +{ms(election.committed - event.t)} its first entry is committed: it "
                     "serves")
    return "\n".join(lines)


def as_rows(trace: Trace) -> list[dict]:
    """One mapping per election, for programs; times in nanoseconds from the trace's begin."""
    rows = []
    for election in find(trace):
        event = election.started
        rows.append({
            "node": event.node, "t_ns": event.t - trace.begin, "wants_epoch": event["epoch"],
            "reason": event["reason"], "leader_before": event.get("leader", -1),
            "silent_us": event.get("silent_us", -1), "outcome": election.outcome,
            "won": election.leader == event.node, "epoch": election.epoch,
            "ended_ns": None if election.ended is None else election.ended - event.t,
            "committed_ns": None if election.committed is None
            else election.committed - event.t,
            "votes": [{"t_ns": v.at - event.t, "voter": v.voter, "word": v.word,
                       "for": v.choice, "reason": v.reason} for v in election.votes]})
    return rows


def window(trace: Trace, election: Election) -> tuple[int, int]:
    """From before the leader's last sign of life to after the election, for a picture of it."""
    begin = election.started.t - max(0, election.started.get("silent_us", 0)) * 1000
    ends = [at for at in (election.ended, election.committed) if at is not None]
    end = max(ends) if ends else trace.end
    margin = max((end - begin) // 8, 1_000_000)
    return max(trace.begin, begin - margin), min(trace.end, end + margin)
