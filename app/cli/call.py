"""One verb as it is called: what every verb's function is given."""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from typing import Any

from app.cli.forms import Noun, Verb
from app.cli.outputs import Output
from app.client.protocol import Client
from app.model.fields import Model
from app.model.query import LIMIT_MAX, Query


@dataclass(frozen=True, slots=True)
class Call:
    """One verb, given to one engine."""

    client: Client
    noun: Noun
    verb: Verb
    given: argparse.Namespace
    output: Output

    @property
    def door(self) -> Any:
        """The client's attribute of this noun."""
        return getattr(self.client, self.noun.name)


def dumped(model: Model) -> dict[str, Any]:
    """An object as the JSON it is."""
    return model.model_dump(mode="json")


def query_of(given: argparse.Namespace) -> Query:
    """The page the flags ask for."""
    limit = LIMIT_MAX if given.limit is None else int(given.limit)
    return Query(tuple(given.filter or ()), given.sort or "", limit, int(given.offset or 0))
