"""The flight recorder: what went over the wire in the last boots of each machine, kept in memory."""

from app.services.recorder.recorder import Recorder

__all__ = ["Recorder"]
