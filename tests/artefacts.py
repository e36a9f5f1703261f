"""Files for machines as builds and fetches leave them: a folder whose manifest lists what is in it."""

from __future__ import annotations

import hashlib
import json
import random
from collections.abc import Mapping
from pathlib import Path

# The sizes of Debian's.
LOADERS = {
    "undionly.kpxe": 108_847,
    "ipxe.pxe": 352_606,
    "ipxe.efi": 996_864,
    "snponly.efi": 284_672,
    "ipxe-arm64.efi": 1_011_712,
}
DISCOVERY = {"vmlinuz": 3_000_000, "initrd.img": 5_000_001}


def noisy(root: Path, loaders: Mapping[str, int] = LOADERS, discovery: Mapping[str, int] = DISCOVERY) -> Path:
    """Loaders and discovery systems of the right names, full of noise; name to size in bytes."""
    noise = random.Random(7)
    (root / "loaders").mkdir()
    for name, size in loaders.items():
        (root / "loaders" / name).write_bytes(noise.randbytes(size))
    for architecture in ("amd64", "arm64"):
        folder = root / "discovery" / architecture
        folder.mkdir(parents=True)
        for name, size in discovery.items():
            (folder / name).write_bytes(noise.randbytes(size))
        listed(folder)
    return root


def listed(folder: Path) -> None:
    """Write the manifest of the files in a folder."""
    files = {
        path.name: {"size": path.stat().st_size, "sha256": hashlib.sha256(path.read_bytes()).hexdigest()}
        for path in sorted(folder.iterdir())
        if path.name != "manifest.json"
    }
    (folder / "manifest.json").write_text(json.dumps({"files": files}))
