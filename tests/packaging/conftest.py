"""What the tests of packaging share."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.packaging import discovery_image
from tests.packaging.discovery_image import Unpacked


@pytest.fixture(scope="session")
def image() -> Iterator[Unpacked]:
    """The discovery system, unpacked."""
    with discovery_image.unpacked() as found:
        yield found
