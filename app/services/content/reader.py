"""Reading boot environments: `<layer>/<name>/bootenv.yaml` and the templates beside it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import yaml
from pydantic import ValidationError

from app.model.bootenv import BootEnv, BootFiles, BootKind, packaged_folder
from app.netboot.render import RenderError, parse

DEFINITION = "bootenv.yaml"
COMMON = "common"
DEFINITION_MAX = 256 << 10
TEMPLATE_MAX = 1 << 20
ARGUMENTS = "arguments"
"""The name under which a boot environment's kernel arguments are a template."""


@dataclass(frozen=True, slots=True)
class Loaded:
    """A boot environment with the text of its templates, by their names."""

    bootenv: BootEnv
    templates: Mapping[str, str] = field(default_factory=dict[str, str])


def fingerprint(folder: Path) -> tuple[tuple[str, int, int], ...]:
    """What changes when a file of the folder, or one that it shares, does: names, times and sizes."""
    found: list[tuple[str, int, int]] = []
    for place in (folder, _common(folder)):
        try:
            for entry in sorted(place.iterdir()):
                status = entry.stat()
                found.append((entry.name, status.st_mtime_ns, status.st_size))
        except OSError as error:
            found.append((error.strerror or "", 0, 0))
    return tuple(found)


def _common(folder: Path) -> Path:
    """Templates that several boot environments of a layer share."""
    return folder.parent / COMMON


def _source(folder: Path, source: str) -> Path:
    return folder.parent / source if source.startswith(f"{COMMON}/") else folder / source


def _table(raw: bytes) -> dict[str, Any]:
    """A YAML table without aliases: nothing here needs them, and a few lines of them fill the memory."""
    if len(raw) > DEFINITION_MAX:
        raise ValueError(f"{DEFINITION} is larger than {DEFINITION_MAX >> 10} KiB")
    events: Iterable[object] = cast("Any", yaml).parse(raw, yaml.SafeLoader)
    if any(isinstance(event, yaml.AliasEvent) for event in events):
        raise ValueError(f"{DEFINITION} uses YAML aliases, which are not allowed here")
    body: Any = yaml.safe_load(raw)
    if not isinstance(body, dict):
        raise TypeError(f"{DEFINITION} is not a table of fields")
    return cast("dict[str, Any]", body)


def read(folder: Path) -> Loaded:
    """The boot environment in `folder`; what is wrong with its text is in its `errors`."""
    broken = BootEnv(name=folder.name, kind=BootKind.KERNEL)
    try:
        body = _table((folder / DEFINITION).read_bytes())
        bootenv = BootEnv.model_validate({**body, "errors": ()})
    except OSError as error:
        return _with(broken, [f"{DEFINITION} cannot be read: {error.strerror}"])
    except yaml.YAMLError as error:
        return _with(broken, [f"{DEFINITION}: {' '.join(str(error).split())}"])
    except ValidationError as error:
        return _with(broken, [f"{DEFINITION}: {_place(fault['loc'])}: {fault['msg']}" for fault in error.errors()])
    except (TypeError, ValueError) as error:
        return _with(broken, [str(error)])
    faults: list[str] = []
    if bootenv.name != folder.name:
        faults.append(f"{DEFINITION}: name is {bootenv.name}, the folder's is {folder.name}; make them the same")
    if bootenv.installs and not bootenv.destructive:
        faults.append(f"{DEFINITION}: an installer writes to disks: say destructive: true")
    for arch, files in bootenv.architectures.items():
        faults += _unbrought(bootenv.name, arch, files)
    templates = _templates(folder, bootenv, faults)
    return _with(bootenv, faults, templates)


def _unbrought(name: str, arch: str, files: BootFiles) -> list[str]:
    """Paths where packages put their files and none of its packages brings this one, and files that two bring."""
    folder = packaged_folder(name, arch)
    brought = [f"{folder}/{file}" for package in files.packages for file in package.files]
    faults = [
        f"{arch}: {path} is brought by none of its packages; name it under `files` of one"
        for path in files.paths
        if path.startswith("bootenvs/") and path not in brought
    ]
    twice = sorted({path for path in brought if brought.count(path) > 1})
    return faults + [f"{arch}: two packages bring {path}" for path in twice]


def _missing(name: str, arch: str, files: BootFiles, paths: Sequence[str]) -> list[str]:
    """What is not there, in words; of what packages bring, how to get it."""
    faults: list[str] = []
    folder = packaged_folder(name, arch)
    left = list(paths)
    for package in files.packages:
        absent = [file for file in package.files if f"{folder}/{file}" in left]
        left = [path for path in left if path not in {f"{folder}/{file}" for file in absent}]
        if absent:
            faults.append(
                f"{arch}: {' and '.join(absent)} of Debian's package {package.package} not there yet; "
                f"bring them with: sudo bootcart fetch {name}"
            )
    return faults + [f"{arch}: {path} is not there" for path in left]


def _place(location: tuple[int | str, ...]) -> str:
    return ".".join(str(part) for part in location)


def _with(bootenv: BootEnv, faults: list[str], templates: Mapping[str, str] | None = None) -> Loaded:
    return Loaded(bootenv.model_copy(update={"errors": tuple(faults)}), templates or {})


def _templates(folder: Path, bootenv: BootEnv, faults: list[str]) -> dict[str, str]:
    """The text of the templates, by name; one that is missing or does not parse is a fault."""
    sources = {template.name: _source(folder, template.source) for template in bootenv.templates}
    texts: dict[str, str] = {}
    for name, file in sources.items():
        try:
            homes = (folder.resolve(), _common(folder).resolve())
            if not any(file.resolve().is_relative_to(home) for home in homes):
                raise ValueError("is outside its folder")
            raw = file.read_bytes()
            if len(raw) > TEMPLATE_MAX:
                raise ValueError(f"is larger than {TEMPLATE_MAX >> 20} MiB")
            texts[name] = raw.decode("utf-8")
            parse(bootenv.name, name, texts[name])
        except OSError as error:
            faults.append(f"template {name}: {file.name} cannot be read: {error.strerror}")
        except RenderError as error:
            faults.append(f"template {name}: {file.name} line {error.line}: {error.why}")
        except ValueError as error:
            faults.append(f"template {name}: {file.name} {error}")
    if bootenv.arguments:
        texts[ARGUMENTS] = bootenv.arguments
        try:
            parse(bootenv.name, ARGUMENTS, bootenv.arguments)
        except RenderError as error:
            faults.append(f"arguments: {error.why}")
    if bootenv.kind is not BootKind.IGNORE and "boot" not in sources:
        faults.append("there is no template named boot")
    return texts


def usable(loaded: Loaded, there: Callable[[str], bool]) -> Loaded:
    """The same with only the architectures whose files are all there; when none is, what is missing is an error.

    `there` tells whether a path of the virtual tree names a file.
    """
    bootenv = loaded.bootenv
    missing = {arch: [path for path in files.paths if not there(path)] for arch, files in bootenv.architectures.items()}
    whole = {arch: files for arch, files in bootenv.architectures.items() if not missing[arch]}
    if whole:
        return Loaded(bootenv.model_copy(update={"architectures": whole}), loaded.templates)
    faults = [*bootenv.errors]
    for arch, paths in missing.items():
        faults += _missing(bootenv.name, arch, bootenv.architectures[arch], paths)
    if bootenv.kind is BootKind.KERNEL and not bootenv.architectures and not faults:
        faults.append("it lists no architecture")
    return _with(bootenv, faults, loaded.templates)
