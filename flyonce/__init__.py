"""Fly once, share with everyone. `flyonce.open(home)` or `flyonce.connect(url, token)` from Python."""

from flyonce.client import AskedWrongError, Client, connect
from flyonce.client import open_home as open  # noqa: A004 - the name that the house plan promises

__all__ = ["AskedWrongError", "Client", "connect", "open"]
