"""Waiting for something that a live cluster will do, with an error that helps when it does not."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


class WaitTimeout(AssertionError):
    """What was waited for did not come in time."""


def wait_for(pred: Callable[[], T | None], timeout: float, what: str, *,
             interval: float = 0.05) -> T:
    """Calls `pred` until it returns something true and returns that; an exception is "not yet".

    `timeout` and `interval` are seconds; `what` completes the sentence "waited for ...".
    Errors: WaitTimeout with the time waited, the number of tries, and the last result or error.
    """
    start = time.monotonic()
    tries = 0
    while True:
        tries += 1
        try:
            result = pred()
            if result:
                return result
            last = f"last result: {result!r}"
        except Exception as error:  # Whatever is not up yet shows itself in its own way.
            last = f"last error: {type(error).__name__}: {error}"
        elapsed = time.monotonic() - start
        if elapsed >= timeout:
            raise WaitTimeout(
                f"waited {elapsed:.1f} s ({tries} tries) for {what}, in vain; {last}")
        time.sleep(interval)
