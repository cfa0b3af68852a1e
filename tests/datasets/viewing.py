"""A page that is served while a test runs, and what a browser or a stranger may ask of it."""

from __future__ import annotations

import http.client
import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from lerobot_datasets.v3.reader import Reader
from lerobot_datasets.view.content import Content
from lerobot_datasets.view.server import Server


class Reply(NamedTuple):
    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


class Served(NamedTuple):
    """A running server."""

    server: Server
    content: Content

    @property
    def url(self) -> str:
        return self.server.url

    def ask(self, path: str, method: str = "GET", **headers: str) -> Reply:
        """The answer to a path as it is, with headers whose `-` is written `_`."""
        connection = http.client.HTTPConnection("127.0.0.1", self.server.server_port, timeout=20)
        try:
            connection.putrequest(method, path, skip_host="Host" in headers)
            for name, value in ({"Connection": "close"} | headers).items():
                connection.putheader(name.replace("_", "-"), value)
            connection.endheaders()
            answer = connection.getresponse()
            return Reply(answer.status, dict(answer.getheaders()), answer.read())
        finally:
            connection.close()

    def json(self, path: str) -> Any:
        reply = self.ask(path)
        assert reply.status == 200, reply.body
        return reply.json

    def listed(self, query: str = "") -> np.ndarray:
        """Number, length and flags of the episodes that a query finds (N, 3)."""
        return np.frombuffer(self.ask(f"/data/episodes?{query}").body, dtype="<u4").reshape(-1, 3)


@contextmanager
def serving(root: Path, name: str = "set", fetch: Callable[[int], None] | None = None) -> Iterator[Served]:
    """The page of a dataset, from a thread of this process."""
    content = Content(Reader(root), name, fetch)
    with Server(content) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            yield Served(server, content)
        finally:
            server.shutdown()
            thread.join()
