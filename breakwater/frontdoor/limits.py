"""How much one session or one address may ask for, and whose address a request comes from.

Asked only after the screen; never a reason to keep the lines from anybody. Addresses stay in memory.
"""

from __future__ import annotations

import ipaddress
import time
from collections import OrderedDict, deque
from collections.abc import Callable, Sequence

from breakwater.frontdoor.settings import Network

KEPT = 10_000  # keys that a limiter remembers; the least recently seen are forgotten first


class Limiter:
    """`most` in any `seconds`, by key. What is refused does not count: who keeps knocking is let in again."""

    def __init__(self, most: int, seconds: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._most = most
        self._seconds = seconds
        self._clock = clock
        self._taken: OrderedDict[str, deque[float]] = OrderedDict()

    def take(self, key: str) -> bool:
        """Take one; False when there is none left. A limit of 0 is no limit."""
        if self._most == 0:
            return True
        now = self._clock()
        taken = self._taken.setdefault(key, deque())
        self._taken.move_to_end(key)
        while taken and taken[0] <= now - self._seconds:
            taken.popleft()
        if len(taken) >= self._most:
            return False
        taken.append(now)
        if len(self._taken) > KEPT:
            self._taken.popitem(last=False)
        return True


def address_of(peer: str | None, forwarded_for: Sequence[str], trusted: Sequence[Network]) -> str | None:
    """The address that a limit counts, or None where it would count everybody as one.

    X-Forwarded-For is believed only as far as trusted proxies wrote it: read from the right, the first
    address that is not a trusted proxy. A loopback peer that is no declared proxy is a developer, or a proxy
    that nobody declared: no address limit, or one visitor could close the door for all.
    """
    here = _address(peer)
    if here is None:
        return None
    if any(here in network for network in trusted):
        for part in reversed([part.strip() for header in forwarded_for for part in header.split(",")]):
            there = _address(part)
            if there is None:
                break
            here = there
            if not any(here in network for network in trusted):
                break
    if here.is_loopback:
        return None
    if here.version == 6:  # one household has a whole /64
        return str(ipaddress.ip_network((here, 64), strict=False).network_address)
    return str(here)


def is_loopback(peer: str | None) -> bool:
    address = _address(peer)
    return address is not None and address.is_loopback


def _address(text: str | None) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        address = ipaddress.ip_address((text or "").strip())
    except ValueError:
        return None
    if address.version == 6 and address.ipv4_mapped:
        return address.ipv4_mapped
    return address
