"""The operator's own files: what was uploaded for machines, and uploads that have not come to their end."""

from __future__ import annotations

from pydantic import Field

from app.model.fields import Epoch, Model


class File(Model):
    """An uploaded file. Machines find it under `files/` and its name, by TFTP and by HTTP."""

    name: str = Field(description="its path, parts separated by `/`")
    size: int = Field(description="bytes")
    modified: Epoch
    sha256: str = Field(default="", description="of its content as it was received; empty: not known")


class Upload(Model):
    """An upload that has not come to its end; no machine sees anything of it."""

    id: str
    name: str
    size: int = Field(description="bytes of the whole file")
    offset: int = Field(description="bytes that are here")
    actor: str = Field(description="who began it")
    began: Epoch
    expires: Epoch = Field(description="when it is thrown away, unless more comes")
    sending: bool = Field(default=False, description="somebody sends it at the moment")
