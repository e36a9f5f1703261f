"""A boot script by uvicorn and Starlette: the product's own template, compiled once, rendered for each request.

Nothing else: no tree, no rights, no token, no event. `uvicorn tests.bench.peers.script:app`
"""

from __future__ import annotations

from pathlib import Path

import yaml
from jinja2.sandbox import SandboxedEnvironment
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route

FOLDER = Path(__file__).parents[3] / "bootenvs" / "discovery"
template = SandboxedEnvironment(trim_blocks=True, lstrip_blocks=True, keep_trailing_newline=True).from_string(
    (FOLDER / "boot.ipxe.j2").read_text()
)
definition = yaml.safe_load((FOLDER / "bootenv.yaml").read_text())
env = {
    "architectures": {
        arch: {"kernel": files["kernel"], "initrds": files["initrds"]}
        for arch, files in definition["architectures"].items()
    }
}


async def script(request: Request) -> PlainTextResponse:
    mac = request.path_params["mac"].replace("-", ":")
    base = f"http://{request.headers['host']}"
    text = template.render(
        machine={"name": f"d{mac.replace(':', '-')}"},
        mac=mac,
        address=request.client.host if request.client else "",
        provisioner_url=base,
        script_path=request.url.path.lstrip("/"),
        env=env,
        arguments=f"bootcart.url={base} bootcart.mac={mac} bootcart.token=0123456789abcdef",
    )
    return PlainTextResponse(text, headers={"Cache-Control": "no-store"})


app = Starlette(routes=[Route("/boot/{mac}.ipxe", script)])
