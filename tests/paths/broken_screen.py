"""The front door with a screen that raises on every message: started by the path table as a module."""

import runpy

from breakwater.safety import screen


def broken(*_: object, **__: object) -> None:
    raise RuntimeError("the screen is broken on purpose")


screen._decide = broken
runpy.run_module("breakwater.frontdoor", run_name="__main__")
