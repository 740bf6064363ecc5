from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.frontdoor.house import SECRET, House, running
from tests.frontdoor.peer import Peer


@pytest.fixture
def peer() -> Iterator[Peer]:
    one = Peer(SECRET)
    yield one
    one.close()


@pytest.fixture
def house(peer: Peer) -> Iterator[House]:
    with running(peer) as opened:
        yield opened


@pytest.fixture(scope="module")
def shared() -> Iterator[House]:
    """One house for tests that leave nothing behind."""
    peer = Peer(SECRET)
    with running(peer) as opened:
        yield opened
    peer.close()
