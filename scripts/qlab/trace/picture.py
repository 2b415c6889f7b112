"""A swim-lane picture: one lane per node with its roles and epochs, messages as arrows.

A pure function of the lanes and the window; the same trace gives the same bytes.
"""

from __future__ import annotations

from dataclasses import dataclass
from html import escape
from importlib import resources

from qlab.trace.events import Event
from qlab.trace.lanes import ASKS, BEATS, DOWN, FOLLOWS, IDLE, LEADS, Lanes, Message, class_of

WIDTH, LEFT, RIGHT, TOP = 1400, 96, 24, 74
BAND, PITCH = 26, 118
LABEL_WIDTH_MIN = 46  # Of a band that says what it is.
HEADS_MAX = 400  # Arrows with a head; beyond, a head is more ink than message.
BEATS_MAX = 1500  # Messages; beyond, those that only say that somebody is there are left out.

# Okabe and Ito's colours, as everywhere.
ROLE_FILL = {LEADS: "#0072B2", ASKS: "#E69F00", FOLLOWS: "#A9CDE4", IDLE: "#D9D9D9",
             DOWN: "url(#down)"}
ROLE_TEXT = {LEADS: "#FFFFFF", ASKS: "#000000", FOLLOWS: "#10344A", IDLE: "#444444",
             DOWN: "#7A1F00"}
VOTE, DATA, ANSWER, BEAT = "vote", "data", "answer", "beat"
STROKE = {VOTE: "#D55E00", DATA: "#0072B2", ANSWER: "#009E73", BEAT: "#B8B8B8"}
MEANING = {VOTE: "election, discovery", DATA: "entries, images", ANSWER: "acknowledgement, commit",
           BEAT: "heartbeat, ping"}
_VOTE_KINDS = ("vote", "notification", "begin_quorum_epoch", "end_quorum_epoch", "timeout_now",
               "follower_info", "observer_info", "leader_info", "ack_epoch", "new_leader",
               "ack_new_leader", "up_to_date")
_DATA_KINDS = ("append_request", "fetch_response", "proposal", "diff", "trunc", "snap", "snapshot",
               "inform", "forward_request", "fetch_snapshot")
_MARK_SHAPES = {"election_started": ("?", "#B34700"), "became_leader": ("★", "#004B76"),
                "sim_crash": ("✕", "#A60000"), "fatal": ("✕", "#A60000"),
                "replica_gave_up": ("✕", "#A60000"), "sim_boot": ("▲", "#2E7D32"),
                "config_active": ("◆", "#8E3B6B"), "image_taken": ("■", "#6B6B00"),
                "image_received": ("■", "#6B6B00"), "image_restored": ("■", "#6B6B00"),
                "sim_fault": ("!", "#A60000")}
MARK_MEANING = (("?", "election begins"), ("★", "leads"), ("✕", "crash"), ("▲", "boot"),
                ("◆", "configuration"), ("■", "image"))


def category_of(message: Message) -> str:
    kind = message.kind
    if kind in BEATS or (kind == "append_request" and "entries=none" in message.words):
        return BEAT
    if kind.startswith("vote") or kind in _VOTE_KINDS or kind.startswith(_VOTE_KINDS[2:4]):
        return VOTE
    if kind in _DATA_KINDS or kind.startswith(("snapshot_request", "fetch_snapshot_response")):
        return DATA if "entries=none" not in message.words else BEAT
    return ANSWER


@dataclass(frozen=True)
class Window:
    begin: int
    end: int  # > begin; nanoseconds of the trace's clock.
    zero: int  # What is shown as 0 ms.

    def x(self, at: int) -> float:
        share = (at - self.begin) / (self.end - self.begin)
        return round(LEFT + share * (WIDTH - LEFT - RIGHT), 1)

    def ms(self, at: int) -> str:
        return f"{(at - self.zero) / 1e6:.3f} ms"

    def holds(self, at: int) -> bool:
        return self.begin <= at <= self.end


def tick_step(span_ms: float, count: int = 12) -> float:
    """1, 2 or 5 times a power of ten, so that at most `count` of them fill the span."""
    step = 1e-6
    while True:
        for factor in (1, 2, 5):
            if span_ms / (step * factor) <= count:
                return step * factor
        step *= 10


class _Picture:
    def __init__(self, lanes: Lanes, window: Window) -> None:
        self.lanes, self.window = lanes, window
        self.parts: list[str] = []
        self.y = {node: TOP + 26 + i * PITCH for i, node in enumerate(lanes.nodes)}
        self.height = TOP + 26 + len(lanes.nodes) * PITCH

    def add(self, text: str) -> None:
        self.parts.append(text)

    def axis(self) -> None:
        span = (self.window.end - self.window.begin) / 1e6
        step = tick_step(span)
        first = (self.window.begin - self.window.zero) / 1e6
        n = int(first // step) + (0 if first % step == 0 else 1)
        bottom = self.height - 56
        while n * step <= first + span:
            x = self.window.x(self.window.zero + round(n * step * 1e6))
            self.add(f'<line class="grid" x1="{x}" y1="{TOP}" x2="{x}" y2="{bottom}"/>'
                     f'<text class="tick" x="{x}" y="{TOP - 6}">{n * step:.10g}</text>')
            n += 1
        self.add(f'<text class="tick" x="{LEFT - 12}" y="{TOP - 6}" '
                 'style="text-anchor:end">ms</text>')

    def bands(self, node: int) -> None:
        y = self.y[node]
        self.add(f'<text class="node" x="{LEFT - 12}" y="{y + 18}">node {node}</text>')
        for span in self.lanes.spans[node]:
            if span.end < self.window.begin or span.begin > self.window.end:
                continue
            begin = self.window.x(max(span.begin, self.window.begin))
            end = self.window.x(min(span.end, self.window.end))
            role = class_of(span.role)
            width = max(round(end - begin, 1), 0.8)
            said = f"{span.role}, epoch {span.epoch}"
            self.add(f'<g class="band"><rect x="{begin}" y="{y}" width="{width}" height="{BAND}" '
                     f'fill="{ROLE_FILL[role]}"/><title>node {node}: {escape(said)}\n'
                     f'{self.window.ms(span.begin)} to {self.window.ms(span.end)}</title>')
            word = said if width > 7 * len(said) else f"e{span.epoch}"
            if width > max(LABEL_WIDTH_MIN if word == said else 16, 6.4 * len(word)):
                self.add(f'<text x="{begin + 5}" y="{y + 17.5}" fill="{ROLE_TEXT[role]}">'
                         f'{escape(word)}</text>')
            self.add('</g>')

    def ticks(self, node: int) -> None:
        """Commits as ticks below the band: how far a node knows, and when."""
        y = self.y[node] + BAND
        before = -1e9
        for at, index in self.lanes.commits[node]:
            x = self.window.x(at) if self.window.holds(at) else None
            if x is None or x - before < 1.5:
                continue
            before = x
            self.add(f'<g class="commit"><path d="M{x} {y}v7"/><title>node {node} knows that '
                     f'everything up to {index} is committed\n{self.window.ms(at)}</title></g>')

    def message(self, message: Message, category: str, has_head: bool) -> None:
        if message.source not in self.y or message.target not in self.y:
            return
        down = self.y[message.target] > self.y[message.source]
        y1 = self.y[message.source] + (BAND if down else 0)
        y2 = self.y[message.target] + (0 if down else BAND)
        lost = message.received is None
        x1 = self.window.x(message.sent)
        if lost:
            y2 = y1 + (22 if down else -22)
            x2 = x1 + 6
        else:
            x2 = self.window.x(message.received)
        title = f"{message.source} → {message.target}: {escape(message.words)}\n" \
                f"{self.window.ms(message.sent)}, " + \
                ("never came" if lost else
                 f"under way for {(message.received - message.sent) / 1e6:.3f} ms")
        head = f' marker-end="url(#{"cross" if lost else category})"' if has_head or lost else ""
        kind = f"m {category}{' lost' if lost else ''}"
        self.add(f'<g class="{kind}"><path d="M{x1} {y1}L{round(x2, 1)} {y2}"{head}/>'
                 f'<title>{title}</title></g>')

    def messages(self) -> tuple[int, int]:
        """How many are drawn, and how many beats were left out."""
        shown = [(m, category_of(m)) for m in self.lanes.messages
                 if m.sent <= self.window.end
                 and (m.received or m.sent) >= self.window.begin and m.sent >= self.window.begin]
        left_out = 0
        if len(shown) > BEATS_MAX:
            left_out = sum(category == BEAT for _, category in shown)
            shown = [(m, category) for m, category in shown if category != BEAT]
        for category in (BEAT, ANSWER, DATA, VOTE):  # What matters most lies on top.
            for message, own in shown:
                if own == category:
                    self.message(message, category, len(shown) <= HEADS_MAX)
        return len(shown), left_out

    def mark(self, event: Event) -> None:
        if not self.window.holds(event.t) or event.node not in self.y:
            return
        sign, colour = _MARK_SHAPES[event.name]
        x, y = self.window.x(event.t), self.y[event.node] - 4
        fields = ", ".join(f"{name} {value}" for name, value in event.fields.items())
        self.add(f'<g class="mark"><text x="{x}" y="{y}" fill="{colour}">{sign}</text>'
                 f'<path d="M{x} {y + 4}v{BAND}" stroke="{colour}"/><title>node {event.node}: '
                 f'{event.name.replace("_", " ")}\n{escape(fields)}\n{self.window.ms(event.t)}'
                 '</title></g>')

    def legend(self) -> None:
        y, x = self.height - 36, LEFT
        for role, word in ((LEADS, "leads"), (ASKS, "asks for votes, looks"),
                           (FOLLOWS, "follows"), (IDLE, "none of these"), (DOWN, "down, silent")):
            self.add(f'<rect x="{x}" y="{y - 10}" width="14" height="12" '
                     f'fill="{ROLE_FILL[role]}"/><text class="key" x="{x + 19}" y="{y}">{word}'
                     '</text>')
            x += 34 + round(6.3 * len(word))
        x += 14
        for category, word in MEANING.items():
            self.add(f'<path class="keyline {category}" d="M{x} {y - 4}h20" '
                     f'stroke="{STROKE[category]}"/><text class="key" x="{x + 25}" y="{y}">{word}'
                     '</text>')
            x += 40 + round(6.3 * len(word))
        y, x = self.height - 14, LEFT
        for sign, word in MARK_MEANING:
            self.add(f'<text class="key" x="{x}" y="{y}">{sign} {word}</text>')
            x += 26 + round(6.3 * len(word))

    def svg(self, title: str) -> str:
        self.axis()
        self.add('<g clip-path="url(#lanes)">')
        count, left_out = self.messages()
        self.add('</g>')
        for node in self.lanes.nodes:
            self.bands(node)
            self.ticks(node)
        for event in self.lanes.marks:
            self.mark(event)
        self.legend()
        note = f"{count} messages"
        if left_out:
            note += f"; {left_out} more that carry nothing are left out: look closer with " \
                    "--from and --to"
        if not self.lanes.messages:
            note = "no messages: the trace has no details"
        heads = "".join(
            f'<marker id="{name}" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="6" '
            f'markerHeight="6" orient="auto"><path d="M0 1L8 4L0 7z" fill="{colour}"/></marker>'
            for name, colour in STROKE.items())
        style = resources.files("qlab.trace").joinpath("picture.css").read_text("utf-8")
        return (f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {self.height}" '
                f'width="{WIDTH}" height="{self.height}"><style>{style}</style><defs>{heads}'
                '<marker id="cross" viewBox="0 0 8 8" refX="4" refY="4" markerWidth="7" '
                'markerHeight="7"><path d="M1 1L7 7M7 1L1 7" stroke="#A60000" '
                'stroke-width="1.6"/></marker><pattern id="down" width="7" height="7" '
                'patternTransform="rotate(45)" patternUnits="userSpaceOnUse"><rect width="7" '
                'height="7" fill="#FBE9E2"/><rect width="2" height="7" fill="#E3A58C"/></pattern>'
                f'<clipPath id="lanes"><rect x="{LEFT}" y="0" width="{WIDTH - LEFT - RIGHT}" '
                f'height="{self.height}"/></clipPath></defs>'
                f'<rect width="{WIDTH}" height="{self.height}" fill="#FFFFFF"/>'
                f'<text class="title" x="{LEFT}" y="26">{escape(title)}</text>'
                f'<text class="note" x="{LEFT}" y="44">{escape(note)}</text>'
                + "\n".join(self.parts) + "</svg>\n")


def draw_svg(lanes: Lanes, title: str, begin: int | None = None, end: int | None = None) -> str:
    """Requires: begin < end."""
    window = Window(lanes.begin if begin is None else begin, lanes.end if end is None else end,
                    lanes.begin)
    if window.end <= window.begin:
        window = Window(window.begin, window.begin + 1_000_000, window.zero)
    return _Picture(lanes, window).svg(title)


def wrap_html(svg: str, title: str) -> str:
    """One file that needs nothing else: the wheel zooms, dragging moves, pointing at a thing tells
    what it is."""
    page = resources.files("qlab.trace").joinpath("picture.html").read_text("utf-8")
    return page.replace("{{title}}", escape(title)).replace("{{svg}}", svg)
