#!/usr/bin/env python3
"""The floor check: who may include whom. The table is the architecture.

Run by `./qlab test style`; prints one line per include that breaks the table.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from sources import ROOT, is_cpp, is_test, source_files

# Folder -> what its files may include besides their own folder: a folder (with a slash) or a file.
_GROUND = ("common/", "wire/", "runtime/", "storage/", "consensus/")  # Floors 0 to 3.
_PURE = ("common/", "wire/", "consensus/module.h", "consensus/types.h", "consensus/message.h",
         "consensus/config.h", "consensus/quorum.h", "consensus/staged_log.h")
FLOORS: Mapping[str, tuple[str, ...]] = {
    "common": (),
    "wire": ("common/",),
    "runtime": ("common/",),
    "storage": ("common/", "runtime/"),
    "consensus": ("common/", "wire/", "runtime/", "storage/"),
    "raft": _PURE,
    "zab": _PURE,
    "metadata": ("common/", "wire/"),
    "client": ("common/", "wire/", "runtime/"),
    "replication": (*_GROUND, "metadata/"),
    "keeper": _GROUND,
    "controller": (*_GROUND, "metadata/", "keeper/client.h"),
    "broker": (*_GROUND, "raft/", "zab/", "metadata/", "client/", "replication/", "keeper/",
               "controller/"),
    "sim": (*_GROUND, "raft/", "zab/", "metadata/", "client/", "replication/", "keeper/",
            "controller/", "broker/"),
    "experiments": ("common/", "wire/"),
}

# Part of a folder -> what it may include beyond its folder's row.
PARTS: Mapping[str, tuple[str, ...]] = {
    "runtime/real/": ("wire/",),
    # Processes above the seam, as the simulator is: they take modules from the same list.
    "consensus/node/": ("sim/modules.h",),
    "keeper/node/": ("sim/modules.h",),
    "storage/bench/micro/": ("wire/",),
    # A protocol's model shares values with the other models, and no code with its module.
    "raft/model/": ("consensus/model/",),
    "raft/kraft/model/": ("consensus/model/",),
    "zab/model/": ("consensus/model/",),
}

# What the tests of a folder may include beyond its row: a protocol's, the language of its scripts
# and the log they run on; the seam's, the list of plugs that its contract is held against.
TEST_TOOLS: Mapping[str, tuple[str, ...]] = {
    "consensus": ("sim/modules.h",),
    "controller": ("keeper/ensemble_test.h",),
    "keeper": ("sim/modules.h",),
    "replication": ("sim/modules.h",),
    "raft": ("consensus/script.h", "consensus/step_world.h", "consensus/entry_log.h",
             "consensus/model/model.h"),
    "zab": ("consensus/script.h", "consensus/step_world.h", "consensus/entry_log.h",
            "consensus/model/model.h"),
}

# Concrete plugs -> the files that name them: one of the node (a controller's design, the file of
# its plane), and for modules one of the simulator, which runs a module by itself.
# Tests of a seam name plugs too, and nothing else.
PLUGS: Mapping[str, tuple[str, ...]] = {
    "storage/engines/": ("storage/engines.cc",),
    "runtime/tcp_transport.h": ("runtime/real/transports.cc", "runtime/tcp_transport.cc"),
    "runtime/real/grpc_transport.h": ("runtime/real/transports.cc",
                                      "runtime/real/grpc_transport.cc"),
    "raft/": ("broker/modules.cc", "sim/modules.cc"),
    "zab/": ("broker/modules.cc", "sim/modules.cc"),
    "controller/quorum/": ("broker/quorum_plane.cc",),
    "controller/zk/": ("broker/zk_plane.cc",),
}

# Headers that touch the world directly: threads and locks, sockets, descriptors, timers, chance.
_WORLD = re.compile(
    r"thread|mutex|shared_mutex|condition_variable|future|semaphore|latch|barrier|stop_token|random"
    r"|sys/(socket|epoll|eventfd|timerfd|random|un)\.h|netinet/.*|arpa/.*|poll\.h|liburing.*"
    r"|pthread\.h|boost/asio/(ip/.*|.*timer.*|local/.*)")
# Where they may be included: below the seam, in processes that are no node, in tests.
WORLD_ALLOWED: Mapping[str, str] = {
    "runtime/": "the seam itself",
    "experiments/": "the load generator is a process of its own",
    "storage/bench/": "a measuring program is a process of its own",
}
# What a pure protocol core may not include either: any input or output, any event loop.
_PURE_FORBIDDEN = re.compile(
    r"atomic|ctime|time\.h|iostream|fstream|filesystem|cstdio|stdio\.h|unistd\.h|fcntl\.h|sys/.*"
    r"|boost/asio.*|grpc.*")
PURE_FOLDERS = ("raft", "zab")

_INCLUDE = re.compile(r'^[ \t]*#[ \t]*include[ \t]*(["<])([^">]+)[">]', re.MULTILINE)


@dataclass(frozen=True)
class Include:
    path: str  # Of the file that includes.
    line: int
    quoted: bool
    target: str


def includes(path: str, text: str) -> Iterator[Include]:
    for found in _INCLUDE.finditer(text):
        yield Include(path, text.count("\n", 0, found.start()) + 1, found[1] == '"', found[2])


def breaks(include: Include) -> str | None:
    """Why the include may not be, or None."""
    folder = include.path.partition("/")[0]
    if folder not in FLOORS:
        return f"folder '{folder}' has no row in the table of scripts/floors.py"
    target = include.target
    if target.endswith(".pb.h") and "/" not in target:
        target = f"wire/proto/{target}"  # Generated; found beside the other generated headers.
    if target.partition("/")[0] not in FLOORS or "/" not in target:
        if include.quoted:
            return f'"{target}" does not start at the root (#include "folder/file.h")'
        return _breaks_world(include.path, folder, target)
    if not include.quoted and not target.endswith(".pb.h"):
        return f'<{target}> is ours: use "{target}"'
    allowed = [f"{folder}/", *FLOORS[folder]]
    for part, more in PARTS.items():
        if include.path.startswith(part):
            allowed += more
    if is_test(include.path):
        allowed += TEST_TOOLS.get(folder, ())
    if not _covers(allowed, target):
        return f"{folder} may not include {target}; it may: {' '.join(allowed)}"
    return _breaks_plug(include.path, target)


def _covers(allowed: list[str], target: str) -> bool:
    return any(target == entry or (entry.endswith("/") and target.startswith(entry))
               for entry in allowed)


def _breaks_plug(path: str, target: str) -> str | None:
    for plug, naming_files in PLUGS.items():
        if target.startswith(plug) and not path.startswith(plug) and path not in naming_files \
                and not is_test(path):
            return f"{target} is a concrete plug: only {' and '.join(naming_files)} name it"
    return None


def _breaks_world(path: str, folder: str, target: str) -> str | None:
    if is_test(path):
        return None
    if folder in PURE_FOLDERS and _PURE_FORBIDDEN.fullmatch(target):
        return f"{folder} is pure: no <{target}>"
    if _WORLD.fullmatch(target) and not path.startswith(tuple(WORLD_ALLOWED)):
        return f"<{target}> touches the world past the runtime (runtime/runtime.h)"
    return None


def check(files: Mapping[str, str]) -> list[str]:
    """The complaints about a set of files, path -> text."""
    complaints = []
    for path, text in files.items():
        for include in includes(path, text):
            why = breaks(include)
            if why:
                complaints.append(f"{path}:{include.line}: {why}")
    return complaints


def main() -> int:
    paths = [path for path in source_files() if is_cpp(path)]
    complaints = check({path: (ROOT / path).read_text(encoding="utf-8") for path in paths})
    for complaint in complaints:
        print(complaint)
    print(f"{len(paths)} files, {len(complaints)} includes on the wrong floor")
    return 1 if complaints else 0


if __name__ == "__main__":
    sys.exit(main())
