"""The agent's API: a machine that runs the discovery system registers, reports, and asks what to do."""

from __future__ import annotations

import asyncio
import contextlib
import json
import re
import uuid
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address
from typing import Any, Protocol, cast

from aiohttp import web
from pydantic import ValidationError

from app.clock import Clock
from app.errors import BootcartError, InvalidError
from app.model.fields import normal_mac
from app.model.inventory import Inventory
from app.model.machine import Machine
from app.model.subnet6 import AnyLease
from app.netboot import login, sshkeys
from app.netboot.token import Claims, TokenKind, TokenRefusedError, mint, require, verify
from app.netboot.words import plain

PREFIX = "agent/"
BODY_MAX = 1 << 20
BODY_SECONDS = 30.0
HEARTBEAT_SECONDS = 10
MACS_MAX = 64
OUTPUT_MAX = 4000
LIST_MAX = 2048
NUMBER_MAX = 2**63 - 1
EVENT_KINDS = ("started", "failed", "rebooting")
HOST_KEY = re.compile(r"ssh-ed25519 SHA256:[A-Za-z0-9+/]{43}")


class Registrar(Protocol):
    """The keeper of machines. Called from worker threads; may raise BootcartError."""

    def register(self, mac: str, address: IPv4Address, report: Mapping[str, Any], /) -> Machine:
        """Create or find the machine with this MAC; the report's MACs contain it."""
        ...

    def inventory(self, key: uuid.UUID, inventory: Inventory, /) -> None: ...

    def heartbeat(self, key: uuid.UUID, /) -> str:
        """The machine's agent lives; what it is to do: nothing, `reboot` or `poweroff`."""
        ...

    def host_key(self, key: uuid.UUID, fingerprint: str, /) -> None:
        """The machine answers ssh, with this host key."""
        ...

    def agent_event(self, key: uuid.UUID, kind: str, step: str, output: str, /) -> None: ...


class World(Protocol):
    """What calls are checked against."""

    def lease_at(self, address: IPv4Address | IPv6Address) -> AnyLease | None: ...

    def preference(self, name: str) -> str: ...

    def machine(self, key: uuid.UUID) -> Machine | None: ...


@dataclass(frozen=True, slots=True)
class Call:
    """One call with a token that is good for where it came from."""

    claims: Claims
    address: IPv4Address
    body: bytes


class AgentApi:
    """The routes below `/agent/`."""

    def __init__(self, registrar: Registrar, world: World, key: bytes, clock: Clock) -> None:
        """`key`: what tokens are signed with."""
        self._registrar = registrar
        self._world = world
        self._key = key
        self._clock = clock

    async def answer(self, request: web.BaseRequest, path: str, peer: IPv4Address) -> web.Response:
        """Answer a request for a normalised path that begins with `agent/`.

        Raises TokenRefusedError for the listener to tell of; every other failure becomes its answer here.
        """
        try:
            route, machine = _route(request.method, path)
            claims = self._claims(request, peer)
            if machine is not None:
                require(claims, TokenKind.MACHINE, str(machine))
            call = Call(claims, peer, await _body(request))
            return await route(self, call)
        except BootcartError as error:
            return failure(error.status, error.code, error.message, error.hint, error.field)
        except _RefusedError as error:
            return failure(error.status, "invalid", str(error))

    def _claims(self, request: web.BaseRequest, peer: IPv4Address) -> Claims:
        scheme, _, token = request.headers.get("Authorization", "").partition(" ")
        token = token.strip() if scheme.lower() == "bearer" else ""
        return verify(token, self._key, now=self._clock.now(), address=peer, lease=self._world.lease_at(peer))

    def _machine_token(self, claims: Claims, machine: Machine) -> str:
        seconds = float(self._world.preference("known-token-timeout"))
        fresh = Claims(
            kind=TokenKind.MACHINE,
            mac=claims.mac,
            address=claims.address,
            expires=self._clock.now() + seconds,
            since=claims.since,
            machine=str(machine.id),
        )
        return mint(fresh, self._key)

    async def register(self, call: Call) -> web.Response:
        """Create or find the machine whose token this is."""
        report = _report(_object(call.body), call.claims.mac)
        machine = await asyncio.to_thread(self._registrar.register, call.claims.mac, call.address, report)
        if call.claims.machine:
            require(call.claims, TokenKind.MACHINE, str(machine.id))
        said = {
            "id": str(machine.id),
            "name": machine.name,
            "token": self._machine_token(call.claims, machine),
            "heartbeat": HEARTBEAT_SECONDS,
        }
        return web.json_response(said)

    async def inventory(self, call: Call) -> web.Response:
        """Take the machine's inventory."""
        body = {**_object(call.body), "reported": self._clock.now()}
        try:
            inventory = Inventory.model_validate(body)
        except ValidationError as error:
            first = error.errors()[0]
            place = ".".join(str(part) for part in first["loc"])
            raise InvalidError(first["msg"], hint="send the inventory as documented", field=place) from error
        _plausible(inventory.model_dump(mode="json"))
        await asyncio.to_thread(self._registrar.inventory, self._known(call).id, inventory)
        return web.Response(status=204)

    async def heartbeat(self, call: Call) -> web.Response:
        """The machine lives; its answer says what to do and renews the token once half of its time is over."""
        machine = self._known(call)
        action = await asyncio.to_thread(self._registrar.heartbeat, machine.id)
        said = {"action": action}
        seconds = float(self._world.preference("known-token-timeout"))
        if call.claims.expires - self._clock.now() < seconds / 2:
            said["token"] = self._machine_token(call.claims, machine)
        return web.json_response(said)

    async def event(self, call: Call) -> web.Response:
        """The machine tells what its agent is at."""
        body = _object(call.body)
        kind = body.get("kind")
        if kind not in EVENT_KINDS:
            raise InvalidError(f"no such kind {plain(str(kind), 40)!r}", hint="one of " + ", ".join(EVENT_KINDS))
        step = plain(str(body.get("step", "")), 200)
        lines = [plain(line) for line in str(body.get("output", ""))[-OUTPUT_MAX:].splitlines()]
        machine = self._known(call)
        await asyncio.to_thread(self._registrar.agent_event, machine.id, str(kind), step, "\n".join(lines))
        return web.Response(status=204)

    async def access(self, call: Call) -> web.Response:
        """Who may log in to the machine: the hash of root's password, and the operators' public keys."""
        machine = self._known(call)
        said = {"password_hash": "", "ssh_keys": ""}
        if machine.access is not None:
            # Thousands of rounds: 10 ms, in which no transfer would move.
            hashed = asyncio.to_thread(login.password_hash, self._key, machine.id, machine.access.issued)
            said["password_hash"] = await hashed
        with contextlib.suppress(ValueError):
            keys = sshkeys.read(self._world.preference("discovery-ssh-keys"))
            said["ssh_keys"] = "".join(f"{key}\n" for key in keys)
        return web.json_response(said, headers={"Cache-Control": "no-store"})

    async def host_key(self, call: Call) -> web.Response:
        """The machine tells how an operator knows it by ssh."""
        print_ = str(_object(call.body).get("host_key", ""))
        if HOST_KEY.fullmatch(print_) is None:
            raise InvalidError("not a host key's fingerprint", hint="ssh-ed25519 SHA256:…", field="host_key")
        await asyncio.to_thread(self._registrar.host_key, self._known(call).id, print_)
        return web.Response(status=204)

    async def show(self, call: Call) -> web.Response:
        """The machine's own record."""
        return web.Response(body=self._known(call).model_dump_json().encode(), content_type="application/json")

    def _known(self, call: Call) -> Machine:
        machine = self._world.machine(uuid.UUID(call.claims.machine))
        if machine is None:
            raise _RefusedError(404, "there is no such machine any more; register anew")
        return machine


class _RefusedError(Exception):
    """A request that HTTP itself refuses."""

    def __init__(self, status: int, words: str) -> None:
        super().__init__(words)
        self.status = status


Route = Callable[[AgentApi, Call], Awaitable[web.Response]]

_OF_MACHINE: Mapping[tuple[str, str], Route] = {
    ("PUT", "inventory"): AgentApi.inventory,
    ("POST", "heartbeat"): AgentApi.heartbeat,
    ("POST", "events"): AgentApi.event,
    ("GET", "access"): AgentApi.access,
    ("PUT", "access"): AgentApi.host_key,
    ("GET", ""): AgentApi.show,
}


def _route(method: str, path: str) -> tuple[Route, uuid.UUID | None]:
    """Which call this is, and for which machine. Raises _RefusedError: 404 or 405."""
    words = path.removeprefix(PREFIX).split("/")
    if words == ["register"]:
        if method != "POST":
            raise _RefusedError(405, "registering is a POST")
        return AgentApi.register, None
    if words[0] == "machines" and len(words) in (2, 3):
        try:
            machine = uuid.UUID(words[1])
        except ValueError:
            raise _RefusedError(404, "that is no machine's id") from None
        name = words[2] if len(words) == 3 else ""
        route = _OF_MACHINE.get((method, name))
        if route is not None:
            return route, machine
        if any(name == known for _, known in _OF_MACHINE):
            raise _RefusedError(405, f"{plain(method, 20)} is not done here")
    raise _RefusedError(404, "there is no such call")


async def _body(request: web.BaseRequest) -> bytes:
    if (request.content_length or 0) > BODY_MAX:
        raise _RefusedError(413, f"the body is larger than {BODY_MAX >> 20} MiB")
    try:
        async with asyncio.timeout(BODY_SECONDS):
            return await request.read()
    except TimeoutError:
        raise _RefusedError(408, f"the body did not come within {BODY_SECONDS:.0f} s") from None
    except web.HTTPRequestEntityTooLarge:
        raise _RefusedError(413, f"the body is larger than {BODY_MAX >> 20} MiB") from None


def _object(body: bytes) -> dict[str, Any]:
    try:
        read: Any = json.loads(body or b"{}")
    except (ValueError, RecursionError) as error:
        raise _RefusedError(400, f"the body is not JSON: {plain(str(error))}") from None
    if not isinstance(read, dict):
        raise _RefusedError(400, "the body is not a JSON object")
    return cast("dict[str, Any]", read)


def _plausible(body: object) -> None:
    """Raise InvalidError for what no machine has: it is stored, and everybody who looks at machines reads it."""
    left = [body]
    while left:
        item = left.pop()
        if isinstance(item, dict):
            left += cast("dict[str, object]", item).values()
        elif isinstance(item, list):
            items = cast("list[object]", item)
            if len(items) > LIST_MAX:
                raise InvalidError(f"a list of {len(items)}", hint=f"send at most {LIST_MAX} of a kind")
            left += items
        elif isinstance(item, int) and abs(item) > NUMBER_MAX:
            raise InvalidError("a number that no machine has", hint=f"send at most {NUMBER_MAX}")


def _report(body: dict[str, Any], mac: str) -> dict[str, Any]:
    """What a machine says of itself, checked. Raises InvalidError, among others when its MACs lack the token's."""
    raw: Any = body.get("macs")
    if not isinstance(raw, list) or len(cast("list[Any]", raw)) > MACS_MAX:
        raise InvalidError(f"not a list of at most {MACS_MAX} MAC addresses", hint="send them all", field="macs")
    macs: list[str] = []
    for item in cast("list[Any]", raw):
        # A card with another kind of address than Ethernet's must not keep its machine out.
        with contextlib.suppress(ValueError):
            macs.append(normal_mac(str(item)))
    if mac not in macs:
        hint = "send every Ethernet address of the machine"
        raise InvalidError(f"{mac}, for which the token is, is not among them", hint=hint, field="macs")
    report: dict[str, Any] = {"macs": list(dict.fromkeys(macs)), "boot_mac": mac}
    for name in ("uuid", "serial", "architecture", "firmware"):
        report[name] = plain(str(body.get(name) or ""), 128)
    return report


def failure(status: int, code: str, message: str, hint: str = "", field: str = "") -> web.Response:
    """An error as JSON, in the shape the operators' API uses too."""
    said = {"code": code, "message": message, "hint": hint, "field": field}
    response = web.json_response(said, status=status)
    if status in (408, 413):
        response.force_close()  # the rest of the body is not worth reading
    return response


def refused(error: TokenRefusedError) -> web.Response:
    """The answer for a token that does not do (RFC 6750 section 3)."""
    response = failure(error.status, "not-allowed", str(error))
    if error.status == 401:
        response.headers["WWW-Authenticate"] = "Bearer"
    return response
