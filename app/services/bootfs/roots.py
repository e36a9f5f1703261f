"""Files under a root directory, and nothing beside it."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from itertools import islice
from pathlib import Path
from typing import Any

from app.netboot.loaders import SIGNED_IPXE

MANIFEST = "manifest.json"
LIKE_MAX = 3
LISTED_MAX = 1000
UPLOADS = "files/"
RECENT_SECONDS = 1.0
"""For so long one of our own files is where it was found."""
RECENT_MAX = 64


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


def _listed(root: Path, folder: str) -> list[str]:
    """The files in a folder of a root, as many as are worth comparing; none where there is no such folder."""
    try:
        place = (root / folder).resolve(strict=True)
        if not place.is_relative_to(root.resolve(strict=True)):
            return []
        with os.scandir(place) as entries:
            return [entry.name for entry in islice(entries, LISTED_MAX) if entry.is_file()]
    except (OSError, RuntimeError):  # RuntimeError: links in a circle
        return []


def unusable(roots: Sequence[Path]) -> list[str]:
    """Which of the operator's trees have nothing to serve now, and why; one that appears is served all the same."""
    told: list[str] = []
    for root in roots:
        if not root.is_dir():
            told.append(f"{root} is {'no directory' if root.exists() else 'not there'}")
        elif not os.access(root, os.R_OK | os.X_OK):
            told.append(f"{root} may not be read by this user")
    return told


@dataclass(frozen=True, slots=True)
class _Recent:
    """A file that was found, what it and its manifest were then, and when (monotonic)."""

    file: Path
    marks: tuple[tuple[int, int, int] | None, ...]
    at: float


def _marks(file: Path) -> tuple[tuple[int, int, int] | None, ...]:
    """What tells a file, and the manifest beside it, from another under the same name."""
    found: list[tuple[int, int, int] | None] = []
    for name in (str(file), f"{os.path.dirname(file)}/{MANIFEST}"):
        try:
            stat = os.stat(name)
            found.append((stat.st_ino, stat.st_mtime_ns, stat.st_size))
        except OSError:
            found.append(None)
    return tuple(found)


class Files:
    """The real files of the virtual tree: loaders at its top, `discovery/`, `bootenvs/`, then the operator's own."""

    def __init__(self, artefacts: Path, file_roots: Sequence[Path] = (), uploads: Path | None = None) -> None:
        """`artefacts` holds `loaders/`, `discovery/`, `bootenvs/`, `signed-ipxe/`; `uploads` is what `files/` shows.

        `file_roots` are searched in order, after all of these.
        """
        self._loaders = artefacts / "loaders"
        self._artefacts = artefacts
        self._uploads = uploads
        self._roots = tuple(file_roots)
        self._sets: dict[Path, tuple[tuple[int, int], dict[str, Any]]] = {}
        self._recent: dict[str, _Recent] = {}

    def find(self, path: str) -> Path | None:
        """The file a normalised path names, links resolved; None where there is none. Reads the disk."""
        if not path:
            return None
        folder, _, name = path.rpartition("/")
        if name != MANIFEST:
            if not folder and (found := beneath(self._loaders, name)) is not None:
                return self._remember(path, found)
            ours = folder.startswith(("discovery/", "bootenvs/", f"{SIGNED_IPXE}/"))
            if ours and (found := beneath(self._artefacts, path)) is not None and self._whole(found):
                return self._remember(path, found)
        if self._uploads is not None and path.startswith(UPLOADS):
            found = beneath(self._uploads, path.removeprefix(UPLOADS))
            if found is not None:
                return found
        return next((found for root in self._roots if (found := beneath(root, path)) is not None), None)

    def at_hand(self, path: str) -> Path | None:
        """One of our own files that `find` found a moment ago, and that is the same still: looks at its inode alone.

        None: it has to be found.
        """
        recent = self._recent.get(path)
        if recent is None or time.monotonic() - recent.at > RECENT_SECONDS:
            return None
        return recent.file if _marks(recent.file) == recent.marks else None

    def _remember(self, path: str, found: Path) -> Path:
        if len(self._recent) >= RECENT_MAX:
            self._recent.clear()
        self._recent[path] = _Recent(found, _marks(found), time.monotonic())
        return found

    def facts(self, path: str) -> tuple[int | None, str]:
        """Size in bytes and SHA-256 of a file, as the manifest beside it tells; None where there is no such file.

        A file that is not of the size its manifest tells is another one: its sum is not known.
        """
        found = self.find(path)
        try:
            size = found.stat().st_size if found is not None else None
        except OSError:  # gone since
            size = None
        if found is None or size is None:
            return None, ""
        told = self._listed(found)
        return size, str(told.get("sha256", "")) if told.get("size") == size else ""

    def _listed(self, file: Path) -> dict[str, Any]:
        """What the manifest beside a file tells of it; read again when it is another one."""
        manifest = file.parent / MANIFEST
        try:
            stat = manifest.stat()
            stamp = (stat.st_mtime_ns, stat.st_ino)
            kept = self._sets.get(manifest)
            if kept is None or kept[0] != stamp:
                kept = self._sets[manifest] = (stamp, dict(json.loads(manifest.read_bytes())["files"]))
            return dict(kept[1].get(file.name, {}))
        except (OSError, ValueError, KeyError, TypeError):
            return {}

    def _whole(self, file: Path) -> bool:
        """It is of the set its manifest lists.

        A build or fetch takes the manifest away first and puts it back last: one that was interrupted has left kernel
        and initramfs of different builds, perhaps, and no manifest.
        """
        try:
            return self._listed(file).get("size") == file.stat().st_size
        except OSError:  # gone since
            return False

    def like(self, path: str) -> tuple[str, ...]:
        """What is there under names like this one's, the closest first; looks beside it and at the top. Reads disk."""
        folder, _, name = path.rpartition("/")
        there: dict[str, str] = {}
        for root in (self._loaders, *self._roots):
            for place in dict.fromkeys(("", folder)):
                for each in _listed(root, place):
                    there.setdefault(each.casefold(), f"{place}/{each}".lstrip("/"))
        if self._uploads is not None and f"{folder}/".startswith(UPLOADS):
            for each in _listed(self._uploads, f"{folder}/".removeprefix(UPLOADS)):
                there.setdefault(each.casefold(), f"{folder}/{each}")
        found = get_close_matches(name.casefold(), there, n=LIKE_MAX, cutoff=0.6)
        return tuple(there[each] for each in found if there[each] != MANIFEST)

    def there(self, path: str) -> bool:
        """A file has this path."""
        return self.find(path) is not None
