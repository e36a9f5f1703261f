"""The lists of items and the tests agree, and docs/conformance.md says what they say."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest

from tests.conformance import items_dhcp, items_proxy
from tests.conformance.items import CHAPTERS

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def conformance() -> ModuleType:
    """packaging/conformance.py."""
    spec = importlib.util.spec_from_file_location("conformance_page", ROOT / "packaging" / "conformance.py")
    assert spec is not None
    assert spec.loader is not None
    made = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(made)
    return made


def test_every_item_has_a_test_and_every_test_an_item(conformance: ModuleType) -> None:
    ids = [item.id for items in CHAPTERS.values() for item in items]

    assert len(ids) == len(set(ids))
    assert set(conformance.proofs()) == set(ids)


def test_dhcp_items_have_one_test_each(conformance: ModuleType) -> None:
    proofs = conformance.proofs()
    ids = [item.id for item in (*items_dhcp.ITEMS, *items_proxy.ITEMS)]

    assert len(ids) == 113 + 15
    assert {each: proofs[each] for each in ids if len(proofs[each]) != 1} == {}


def test_levels_are_known() -> None:
    assert {item.level for items in CHAPTERS.values() for item in items} <= {"MUST", "SHOULD", "POLICY", "INFO"}


def test_the_page_is_current(conformance: ModuleType) -> None:
    assert conformance.PAGE.read_text() == conformance.page(), "run python packaging/conformance.py"
