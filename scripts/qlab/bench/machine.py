"""Is the machine quiet enough to be believed?"""

from __future__ import annotations

import os
import pathlib
import time

BUSY_SHARE = 0.15


def _ticks() -> tuple[int, int]:
    """(busy, all) of /proc/stat's first line: user nice system idle iowait irq softirq steal."""
    words = pathlib.Path("/proc/stat").read_text(encoding="ascii").splitlines()[0].split()[1:9]
    numbers = [int(word) for word in words]
    return sum(numbers) - numbers[3] - numbers[4], sum(numbers)


def busy_share(seconds: float = 1.0) -> float:
    """Which part of all CPUs others used, while nothing of ours ran."""
    busy_before, all_before = _ticks()
    time.sleep(seconds)
    busy, total = _ticks()
    return (busy - busy_before) / max(1, total - all_before)


def warning(share: float) -> str | None:
    if share <= BUSY_SHARE:
        return None
    return (f"this machine is busy ({share:.0%} of {os.cpu_count()} CPUs, before anything was "
            "measured): believe ratios only, or wait until it is quiet")


def disturbance(shares: list[float]) -> str | None:
    """What to say of a run during which others used these parts of the CPUs, kernel threads that
    work for us among them."""
    if not shares or max(shares) <= 2 * BUSY_SHARE:
        return None
    return (f"while this was measured, others used up to {max(shares):.0%} of the CPUs: believe "
            "ratios only, and not much")
