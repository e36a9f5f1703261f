"""Content: boot environments and their templates, read from folders of data."""

from __future__ import annotations

from app.services.content.service import ContentService, shipped

__all__ = ["ContentService", "shipped"]
