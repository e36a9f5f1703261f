"""Objects from standard input, a file or a URL, in JSON or YAML."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any, cast

from app.errors import InvalidError, NotFoundError, UnreachableError

SIZE_MAX = 4 * 1024 * 1024
URL_SECONDS = 30.0


def is_source(text: str) -> bool:
    """It names a source of objects rather than an object: `-`, a URL, JSON, or something with a path or a suffix."""
    return text == "-" or text.startswith(("http://", "https://", "{", "[")) or "/" in text or _has_suffix(text)


def _has_suffix(text: str) -> bool:
    return text.lower().endswith((".json", ".yaml", ".yml"))


def read_objects(source: str) -> list[dict[str, Any]]:
    """The objects of a source: one, or a list of them. Raises InvalidError, NotFoundError or UnreachableError."""
    told = parse(_text(source), source)
    items: list[Any] = cast("list[Any]", told) if isinstance(told, list) else [told]
    if not items or not all(isinstance(item, dict) for item in items):
        raise InvalidError(f"{_name(source)} holds no object", hint="write fields and values in JSON or YAML")
    return items


def parse(text: str, source: str) -> Any:
    """JSON, or else YAML (which times, tags and aliases are not part of). Raises InvalidError with the line."""
    try:
        return json.loads(text)
    except RecursionError as error:
        raise InvalidError(f"{_name(source)} is nested too deeply", hint="mend it") from error
    except ValueError:
        # Not JSON; the YAML reader says what is wrong.
        pass
    import yaml

    class Plain(yaml.SafeLoader):
        """Scalars, lists and mappings alone."""

    # A date stays the text that was written.
    Plain.yaml_implicit_resolvers = {
        first: [pair for pair in pairs if pair[0] != "tag:yaml.org,2002:timestamp"]
        for first, pairs in yaml.SafeLoader.yaml_implicit_resolvers.items()
    }
    try:
        # An alias is how a few bytes become gigabytes.
        tokens = cast("Iterable[object]", yaml.scan(text))  # pyright: ignore[reportUnknownMemberType]
        if any(isinstance(token, yaml.AliasToken) for token in tokens):
            raise yaml.YAMLError("aliases are not taken")
        return yaml.load(text, Plain)  # noqa: S506 - a safe loader, made stricter
    except (yaml.YAMLError, RecursionError) as error:
        words = " ".join(str(error).split()) or "nested too deeply"
        raise InvalidError(f"{_name(source)} is neither JSON nor YAML: {words}", hint="mend it") from error


def _name(source: str) -> str:
    return "the input" if source == "-" or source.startswith(("{", "[")) else source


def _text(source: str) -> str:
    if source.startswith(("{", "[")):
        return source
    raw = _bytes(source)
    if len(raw) > SIZE_MAX:
        raise InvalidError(f"{_name(source)} is larger than {SIZE_MAX // 1024 // 1024} MiB", hint="split it")
    try:
        return raw.decode()
    except UnicodeDecodeError as error:
        raise InvalidError(f"{_name(source)} is not text in UTF-8", hint="convert it") from error


def _bytes(source: str) -> bytes:
    if source == "-":
        return sys.stdin.buffer.read(SIZE_MAX + 1)
    if source.startswith(("http://", "https://")):
        return _fetched(source)
    try:
        with Path(source).open("rb") as file:
            return file.read(SIZE_MAX + 1)
    except FileNotFoundError as error:
        raise NotFoundError(f"no file {source}", hint="give `-`, a file or a URL") from error
    except OSError as error:
        raise InvalidError(f"cannot read {source}: {error.strerror}", hint="give `-`, a file or a URL") from error


def _fetched(url: str) -> bytes:
    import httpx

    try:
        with httpx.stream("GET", url, timeout=URL_SECONDS, follow_redirects=True) as reply:
            reply.raise_for_status()
            raw = b""
            for part in reply.iter_bytes():
                raw += part
                if len(raw) > SIZE_MAX:
                    break
            return raw
    except httpx.HTTPStatusError as error:
        raise NotFoundError(f"{url} answered {error.response.status_code}", hint="check the URL") from error
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        raise UnreachableError(f"cannot fetch {url}: {error or type(error).__name__}", hint="check the URL") from error
