"""Boot HTTP: the files of the virtual tree and the agent's API, for machines; nothing here is for operators."""

from __future__ import annotations

from app.services.boothttp.agent import Registrar
from app.services.boothttp.service import BootHttpService, Tree

__all__ = ["BootHttpService", "Registrar", "Tree"]
