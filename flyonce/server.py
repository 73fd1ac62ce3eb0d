"""A flyonce server, as the light client speaks to it: one connection pool, errors in words. httpx alone."""

import base64
from collections.abc import Mapping
from types import TracebackType
from typing import Any, Self

import httpx

TIMEOUT = httpx.Timeout(60.0, connect=15.0)


class AskedWrongError(ValueError):
    """A question that the catalogue or the server could not take; the message says which part and why."""


class Server:
    """The server at `url` (such as http://127.0.0.1:8000), asked with its key. Safe for several threads."""

    def __init__(self, url: str, token: str | None = None) -> None:
        self.url = url.rstrip("/")
        headers = {"authorization": f"Bearer {token}"} if token else {}
        try:
            self.http = httpx.Client(base_url=self.url, headers=headers, timeout=TIMEOUT)
        except httpx.InvalidURL as error:
            raise AskedWrongError(f"{url} is no address: {error}.") from error

    def __repr__(self) -> str:
        return f"Server({self.url!r})"  # never the token

    def ask(self, method: str, path: str, **what: Any) -> dict[str, Any]:
        """The JSON that is answered. Raises `AskedWrongError`."""
        try:
            answer = self.http.request(method, path, **what)
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise AskedWrongError(
                f"{self.url} does not answer: {error}. Is `flyonce serve` running there, and the address right?"
            ) from error
        if answer.is_error:
            raise AskedWrongError(self.told(answer))
        page: dict[str, Any] = answer.json()
        return page

    def told(self, answer: httpx.Response) -> str:
        """Why the server did not do what it was asked."""
        told = answer.json() if answer.content and "json" in answer.headers.get("content-type", "") else {}
        detail = str(told.get("detail", "nothing that explains it")).rstrip(".")
        remedy = " Give its key (--token-file)." if answer.status_code == httpx.codes.UNAUTHORIZED else ""
        return f"{self.url} answered {answer.status_code}: {detail}.{remedy}"

    @staticmethod
    def metadata(values: Mapping[str, str]) -> str:
        """`Upload-Metadata` of the tus protocol."""
        return ",".join(f"{key} {base64.b64encode(value.encode()).decode()}".strip() for key, value in values.items())

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.http.close()
