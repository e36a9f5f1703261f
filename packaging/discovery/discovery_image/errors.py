"""What can go wrong while the image is built, and the one way progress is said."""

from __future__ import annotations

import sys


class BuildError(Exception):
    """What failed, and in `hint` what to do."""

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.hint = hint


def say(percent: int, text: str) -> None:
    """A line of progress on standard error; `percent` is of the whole build."""
    complain(f"[{percent:3d}%] {text}")


def complain(text: str) -> None:
    """Lines for whoever runs the build."""
    sys.stderr.write(text + "\n")
    sys.stderr.flush()
