"""Where numbers come from: everything about the code and the machine that may matter for them."""

from __future__ import annotations

import hashlib
import json
import os
import platform
import subprocess
from datetime import datetime, timezone
from importlib import metadata
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
PYTHON_PACKAGES = ("numpy", "matplotlib", "jinja2", "confluent-kafka", "grpcio")
LIBRARIES = ("rdkafka", "grpc++", "liburing", "jemalloc", "zlib")


def collect(data: Path, config: dict[str, Any]) -> dict[str, Any]:
    """Everything known at the start of a run whose files (and brokers' data) are below `data`."""
    clock = "/sys/devices/system/clocksource/clocksource0/current_clocksource"
    return {
        "started": now(),
        "config": config,
        "code": _code(),
        "build": _build(),
        "machine": {
            "kernel": platform.release(), "machine": platform.machine(),
            "distribution": _os_release(), "cpu": _cpu(), "cpus": os.cpu_count(),
            "memory_bytes": os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"),
            "governor": _text("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor"),
            "clocksource": _text(clock),
            "load": list(os.getloadavg())},
        "storage": _storage(data),
        "libraries": {**{name: _package(name) for name in PYTHON_PACKAGES},
                      **{name: _words("pkg-config", "--modversion", name) for name in LIBRARIES},
                      "python": platform.python_version()},
    }


def now() -> str:
    return datetime.now(timezone.utc).isoformat(timespec="seconds")


def finish(provenance: dict[str, Any]) -> None:
    """Adds what is known at the end only."""
    provenance["ended"] = now()
    provenance["machine"]["load_at_end"] = list(os.getloadavg())


def _code() -> dict[str, Any]:
    """The commit; and for a changed working copy, the hash of what differs."""
    changes = _run("git", "status", "--porcelain", "--", ".", ":!results")
    code: dict[str, Any] = {"commit": _words("git", "rev-parse", "HEAD"), "dirty": bool(changes)}
    if changes:
        difference = changes + (_run("git", "diff", "HEAD", "--", ".", ":!results") or "")
        code["dirty_hash"] = hashlib.sha256(difference.encode()).hexdigest()[:16]
    return code


def _build() -> dict[str, Any]:
    info = Path(os.environ.get("QLAB_BUILD_DIR", ROOT / "build")) / "meson-info"
    try:
        options = json.loads((info / "intro-buildoptions.json").read_text())
        targets = json.loads((info / "intro-targets.json").read_text())
        compiler = next(s["compiler"] for t in targets for s in t["target_sources"]
                        if s.get("language") == "cpp")
    except (OSError, ValueError, KeyError, StopIteration):
        return {}
    wanted = ("buildtype", "optimization", "debug", "b_ndebug", "b_sanitize", "cpp_args", "cpp_std")
    version = _words(*compiler, "--version")
    return {"compiler": version and version.splitlines()[0],
            "options": {o["name"]: o["value"] for o in options if o["name"] in wanted}}


def _storage(path: Path) -> dict[str, Any]:
    found = _run("findmnt", "--json", "--target", str(path), "-o", "SOURCE,FSTYPE,OPTIONS")
    try:
        mount = json.loads(found or "")["filesystems"][0]
    except (ValueError, KeyError, IndexError):
        return {}
    device = Path(mount["source"]).name
    block = Path("/sys/class/block") / device
    if block.exists() and (block.resolve() / "partition").exists():
        block = block.resolve().parent
    return {"filesystem": mount["fstype"], "mount_options": mount["options"],
            "device": mount["source"], "model": _text(str(block / "device/model")),
            "rotational": _text(str(block / "queue/rotational")),
            "scheduler": _text(str(block / "queue/scheduler")),
            "write_cache": _text(str(block / "queue/write_cache"))}


def _cpu() -> str | None:
    for line in (_text("/proc/cpuinfo") or "").splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return None


def _os_release() -> str | None:
    for line in (_text("/etc/os-release") or "").splitlines():
        if line.startswith("PRETTY_NAME="):
            return line.partition("=")[2].strip('"')
    return None


def _package(name: str) -> str | None:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


def _text(path: str) -> str | None:
    try:
        return Path(path).read_text().strip()
    except OSError:
        return None


def _run(*command: str) -> str | None:
    try:
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    except OSError:
        return None
    return done.stdout if done.returncode == 0 else None


def _words(*command: str) -> str | None:
    out = _run(*command)
    return None if out is None else out.strip()
