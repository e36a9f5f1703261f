"""What the verbs of files and certificates do, over the Client alone."""

from __future__ import annotations

from dataclasses import replace

from app.cli.call import Call, dumped, query_of
from app.cli.outputs import shown
from app.cli.transfers import download, upload, write_out

UNFINISHED = ("name", "offset", "size", "actor", "began", "expires", "sending")


async def uploaded(call: Call) -> int:
    for file in await upload(call.client.files, call.given, call.output):
        call.output.done(call.noun, dumped(file), f"uploaded, SHA-256 {file.sha256}")
    return 0


async def unfinished(call: Call) -> int:
    page = await call.client.files.unfinished(query_of(call.given))
    call.output.listing(replace(call.noun, columns=UNFINISHED), [dumped(item) for item in page.items])
    return 0


async def downloaded(call: Call) -> int:
    where = await download(call.client.files, call.given, call.output)
    if where:
        call.output.said(f"file {shown(call.given.key)} is in {shown(where)}", {"path": where})
    return 0


async def exported(call: Call) -> int:
    content = await call.client.certificates.export(call.given.form or "pem")
    where = write_out(content, call.given.to or "-", replace=bool(call.given.replace))
    if where:
        call.output.said(f"the authority's certificate is in {shown(where)}", {"path": where})
    return 0


async def deleted_files(call: Call) -> int:
    for key in call.given.key:
        await call.client.files.delete(key, recursive=bool(call.given.recursive))
        call.output.said(f"file {shown(key)} deleted", {"deleted": key})
    return 0
