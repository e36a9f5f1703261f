"""Files for machines as builds and fetches leave them: a folder whose manifest lists what is in it."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path


def listed(folder: Path) -> None:
    """Write the manifest of the files in a folder."""
    files = {
        path.name: {"size": path.stat().st_size, "sha256": hashlib.sha256(path.read_bytes()).hexdigest()}
        for path in sorted(folder.iterdir())
        if path.name != "manifest.json"
    }
    (folder / "manifest.json").write_text(json.dumps({"files": files}))
