"""The virtual tree of boot files: what TFTP and HTTP serve, some of it rendered for the machine that asks."""

from __future__ import annotations

from app.services.bootfs.roots import Files
from app.services.bootfs.tree import BootFs

__all__ = ["BootFs", "Files"]
