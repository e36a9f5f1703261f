"""What a conformance test proves: one requirement of a standard, or of the field."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Item:
    """One requirement; the test that proves it has `id` in lower case in its name."""

    id: str
    source: str
    """RFC and section, specification, or the kind of machine it comes from."""
    level: str
    """MUST, SHOULD, POLICY (our choice) or INFO."""
    text: str
