"""Files under a root directory, and nothing beside it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

MANIFEST = "manifest.json"


def beneath(root: Path, path: str) -> Path | None:
    """The regular file that `path` (normalised) names inside `root`, links resolved.

    None where there is none, where it cannot be read, or where a symbolic link leads out of `root`. The root itself may
    be reached through links.
    """
    try:
        base = root.resolve(strict=True)
        found = (base / path).resolve(strict=True)
        return found if found.is_relative_to(base) and found.is_file() else None
    except (OSError, RuntimeError):  # RuntimeError: links in a circle
        return None


class Files:
    """The real files of the virtual tree: boot loaders at its top, `discovery/`, then the operator's own trees."""

    def __init__(self, artefacts: Path, file_roots: Sequence[Path] = ()) -> None:
        """`artefacts` holds `loaders/` and `discovery/`; `file_roots` are searched in order."""
        self._loaders = artefacts / "loaders"
        self._artefacts = artefacts
        self._roots = tuple(file_roots)

    def find(self, path: str) -> Path | None:
        """The file a normalised path names, links resolved; None where there is none. Reads the disk."""
        if not path:
            return None
        folder, _, name = path.rpartition("/")
        if name != MANIFEST:
            if not folder and (found := beneath(self._loaders, name)) is not None:
                return found
            if folder.startswith("discovery/") and (found := beneath(self._artefacts, path)) is not None:
                return found
        return next((found for root in self._roots if (found := beneath(root, path)) is not None), None)

    def there(self, path: str) -> bool:
        """A file has this path."""
        return self.find(path) is not None
