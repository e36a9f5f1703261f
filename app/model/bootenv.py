"""Boot environments: what a machine is given to boot, as data."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from app.model.fields import Model, Name


class BootKind(StrEnum):
    """How a boot environment boots."""

    KERNEL = "kernel"
    """A kernel and initrds, through a rendered loader script."""
    LOCAL = "local"
    """The machine's own disk: DHCP withholds the boot file."""
    IGNORE = "ignore"
    """No answer to boot requests at all; addresses are still given."""


class BootTemplate(Model):
    """A file rendered for one machine at the moment it asks."""

    name: Name
    path: str = Field(description="virtual path, for example `boot.ipxe`")
    source: str = Field(
        description="file in the boot environment's folder, for example `boot.ipxe.j2`, or in `common/` beside it"
    )
    content_type: str = "text/plain"


FirmwareKind = Literal["bios", "uefi"]
FileName = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._+-]{0,99}$")]


def _inside(text: str) -> str:
    if len(text) > 255 or not text.isprintable() or any(part in ("", ".", "..") for part in text.split("/")):
        raise ValueError(f"{text!r} is no path inside a package: relative, without empty parts, . and ..")
    return text


class PackageFiles(Model):
    """Files that a Debian package brings; `bootcart fetch` puts them where the virtual tree finds them."""

    package: str = Field(pattern=r"^[a-z0-9][a-z0-9.+-]{1,99}$", description="for example `memtest86+`")
    suite: str = Field(pattern=r"^[a-z][a-z0-9-]{1,39}$", description="Debian release, for example `trixie`")
    files: dict[FileName, Annotated[str, AfterValidator(_inside)]] = Field(
        min_length=1, description="name below `bootenvs/<bootenv>/<architecture>/` to path in the package, no / before"
    )


class BootFiles(Model):
    """Kernel and initrds for one architecture, as paths in the virtual tree."""

    kernel: str
    kernels: dict[FirmwareKind, str] = Field(
        default_factory=dict[FirmwareKind, str], description="the kernel for one firmware, where it is another"
    )
    initrds: tuple[str, ...] = ()
    packages: tuple[PackageFiles, ...] = Field(default=(), description="where the files come from")

    @property
    def paths(self) -> tuple[str, ...]:
        """Every file it needs, each once."""
        return tuple(dict.fromkeys((self.kernel, *self.kernels.values(), *self.initrds)))


def packaged_folder(bootenv: str, architecture: str) -> str:
    """Where in the virtual tree the files lie that packages bring for a boot environment."""
    return f"bootenvs/{bootenv}/{architecture}"


class BootEnv(Model):
    """A boot environment, shipped in `bootenvs/<name>/bootenv.yaml`."""

    name: Name
    title: str = ""
    description: str = ""
    kind: BootKind = BootKind.KERNEL
    architectures: dict[str, BootFiles] = Field(default_factory=dict, description="keyed by amd64, arm64, …")
    arguments: str = Field(default="", description="kernel command line, a template")
    templates: tuple[BootTemplate, ...] = ()
    facts: dict[Name, str] = Field(
        default_factory=dict[Name, str], description="what its templates read as `env.facts`, for example a release"
    )
    installs: bool = Field(default=False, description="an installer that reads an answer file and reports how it goes")
    unknown_only: bool = Field(default=False, description="may be the unknown-bootenv, never assigned")
    destructive: bool = Field(default=False, description="writes to the machine's disks")
    memory_mib: int = Field(default=0, description="least memory it boots with")
    errors: tuple[str, ...] = Field(default=(), description="why it cannot be used now; read-only")

    @property
    def available(self) -> bool:
        """It can be used now."""
        return not self.errors

    @property
    def harmless(self) -> bool:
        """It can be used now, also by machines that nobody assigned it to: it leaves disks alone."""
        return self.available and not self.destructive
