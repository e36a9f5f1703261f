"""Templates that only print what differs between machines: rendered once with stand-ins, filled in for each machine.

Whether a template does no more than print is read off its syntax; any other use of such a value (a condition, a
filter, a variable) and the template is rendered anew for each machine.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Set
from dataclasses import dataclass
from functools import lru_cache
from typing import cast

import jinja2
from jinja2 import nodes

from app.netboot.render import environment

_EDGE = "\x01"
_MARK = re.compile(f"{_EDGE}([^{_EDGE}]+){_EDGE}")
_VALUES = frozenset(("mac", "address", "script_path", "arguments"))
_CALLS = frozenset(("token", "answer_url", "report_url"))
_OF_MACHINE = frozenset(("id", "name"))
_SHARED = frozenset(("architecture", "firmware", "bootenv", "registered"))
"""What of a machine a template may do anything with: renderings ahead are kept for each of these."""
_COMMON = frozenset(
    ("env", "reason", "provisioner_url", "file_base", "boot_file", "param", "fail", "grub", "menu", "range", "loop")
)
"""What is the same for all machines of such a kind. A name that is not listed here may differ."""


def mark(name: str) -> str:
    """What stands for a value of this name while a template is rendered ahead."""
    return f"{_EDGE}{name}{_EDGE}"


@dataclass(frozen=True, slots=True)
class Printed:
    """A rendering with gaps: texts, and between them the names of what is to stand there."""

    texts: tuple[str, ...]
    names: tuple[str, ...]

    def filled(self, values: Mapping[str, str]) -> str:
        """The rendering for one machine. Raises KeyError where a value is missing."""
        pieces = [self.texts[0]]
        for name, text in zip(self.names, self.texts[1:], strict=True):
            pieces.append(values[name])
            pieces.append(text)
        return "".join(pieces)


def printed(text: str) -> Printed:
    """A rendering whose values were marks."""
    pieces = _MARK.split(text)
    return Printed(tuple(pieces[::2]), tuple(pieces[1::2]))


@lru_cache(maxsize=256)
def only_prints(source: str) -> bool:
    """A template does nothing with what differs between machines but print it as it is."""
    if _EDGE in source:
        return False
    try:
        tree = environment({}).parse(source)
    except jinja2.TemplateSyntaxError:
        return False
    own = {name.name for name in tree.find_all(nodes.Name) if name.ctx == "store"}
    return own.isdisjoint(_VALUES | _CALLS | _COMMON | {"machine"}) and _plain(tree, _COMMON | own)


def _plain(node: nodes.Node, same: Set[str]) -> bool:
    """`same` are the names of what comes to the same for every machine."""
    match node:
        case nodes.Output():
            return all(
                isinstance(each, nodes.TemplateData) or _gap(each, same) or _same(each, same) for each in node.nodes
            )
        case nodes.Template():
            return all(_plain(each, same) for each in node.body)
        case nodes.If():
            inside = (*node.body, *node.elif_, *node.else_)
            return _same(node.test, same) and all(_plain(each, same) for each in inside)
        case nodes.For():
            heads = [each for each in (node.target, node.iter, node.test) if each is not None]
            inside = (*node.body, *node.else_)
            return all(_same(each, same) for each in heads) and all(_plain(each, same) for each in inside)
        case nodes.Assign():
            return _same(node.target, same) and _same(node.node, same)
        case _:
            return False


def _gap(node: nodes.Node, same: Set[str]) -> bool:
    """An expression that is nothing but a value which differs between machines."""
    match node:
        case nodes.Name():
            return node.name in _VALUES
        case nodes.Getattr(node=nodes.Name(name="machine")):
            return node.attr in _OF_MACHINE
        case nodes.Call(node=nodes.Name()):
            name = cast("nodes.Name", node.node).name
            rest = (*node.args, *node.kwargs, *(each for each in (node.dyn_args, node.dyn_kwargs) if each))
            return name in _CALLS and all(_same(each, same) for each in rest)
        case _:
            return False


def _same(node: nodes.Node, same: Set[str]) -> bool:
    """An expression that comes to the same for every machine."""
    match node:
        case nodes.Getattr(node=nodes.Name(name="machine")):
            return node.attr in _SHARED
        case nodes.Name():
            return node.name in same
        case _:
            return all(_same(each, same) for each in node.iter_child_nodes())
