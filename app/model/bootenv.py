"""Boot environments: what a machine is given to boot, as data."""

from __future__ import annotations

from enum import StrEnum

from pydantic import Field

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
    source: str = Field(description="file in the boot environment's folder, for example `boot.ipxe.j2`")
    content_type: str = "text/plain"


class BootFiles(Model):
    """Kernel and initrds for one architecture, as paths in the virtual tree."""

    kernel: str
    initrds: tuple[str, ...] = ()


class BootEnv(Model):
    """A boot environment, shipped in `bootenvs/<name>/bootenv.yaml`."""

    name: Name
    title: str = ""
    description: str = ""
    kind: BootKind = BootKind.KERNEL
    architectures: dict[str, BootFiles] = Field(default_factory=dict, description="keyed by amd64, arm64, …")
    arguments: str = Field(default="", description="kernel command line, a template")
    templates: tuple[BootTemplate, ...] = ()
    unknown_only: bool = Field(default=False, description="may be the unknown-bootenv, never assigned")
    destructive: bool = Field(default=False, description="writes to the machine's disks")
    memory_mib: int = Field(default=0, description="least memory it boots with")
    errors: tuple[str, ...] = Field(default=(), description="why it cannot be used now; read-only")

    @property
    def available(self) -> bool:
        """It can be used now."""
        return not self.errors
