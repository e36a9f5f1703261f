"""TFTP: boot loaders and other files of the virtual tree over UDP."""

from __future__ import annotations

from app.services.tftp.service import TftpService
from app.services.tftp.tree import Tree

__all__ = ["TftpService", "Tree"]
