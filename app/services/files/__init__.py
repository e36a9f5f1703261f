"""The operator's own files: kept whole on a shelf, uploaded through an inbox that machines do not see."""

from __future__ import annotations

from app.services.files.inbox import Inbox
from app.services.files.shelf import Shelf

__all__ = ["Inbox", "Shelf"]
