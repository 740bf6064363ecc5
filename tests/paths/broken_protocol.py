"""The front door with a protocol that raises on every message: started by the path table as a module."""

import runpy

from breakwater.safety import protocol


def broken(*_: object, **__: object) -> None:
    raise RuntimeError("the protocol is broken on purpose")


protocol.advance = broken
runpy.run_module("breakwater.frontdoor", run_name="__main__")
