"""A Hub on this machine: repositories with commits, branches and tags, large files, refusals and a bad network.

It keeps a log of every request, and breaks what a test asks to break. Only what dataset tools use is there.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
import socket
import threading
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, NamedTuple
from urllib.parse import unquote, urlsplit

import attrs
import pytest

#: Files of these kinds go by the protocol for large files, all others within the commit.
LARGE = (".parquet", ".mp4")


class Request(NamedTuple):
    """One line of the log: `at` is the first byte asked for of a download."""

    method: str
    path: str
    at: int = 0


class Refused(Exception):
    """An answer other than 200."""

    def __init__(self, status: int, code: str = "", message: str = "", **body: str) -> None:
        super().__init__(status)
        self.status, self.code, self.message, self.body = status, code, message, body


@attrs.define
class Fault:
    """Breaks the next `times` requests whose "METHOD path" fits the pattern.

    With a status it is answered with that; without, the connection is cut in the middle of the body.
    """

    pattern: str
    status: int = 0
    times: int = 1


@attrs.define
class Repository:
    """Its states by commit, and what names them."""

    private: bool = False
    commits: dict[str, dict[str, bytes]] = attrs.Factory(lambda: {"0" * 40: {}})
    branches: dict[str, str] = attrs.Factory(lambda: {"main": "0" * 40})
    tags: dict[str, str] = attrs.Factory(dict)

    def commit_of(self, revision: str) -> str:
        for names in (self.tags, self.branches):
            if revision in names:
                return names[revision]
        if revision not in self.commits:
            raise Refused(404, "RevisionNotFound")
        return revision

    def at(self, revision: str) -> dict[str, bytes]:
        return self.commits[self.commit_of(revision)]

    def add(self, branch: str, files: dict[str, bytes]) -> str:
        """A new commit with these files on a branch."""
        commit = hashlib.sha1(f"{len(self.commits)} {branch}".encode()).hexdigest()
        self.commits[commit] = files
        self.branches[branch] = commit
        return commit


class Hub:
    """What the server knows: repositories by name, large files by hash, logins, the log and the faults.

    Attributes:
        readers: logins that may not write; any other may.
    """

    def __init__(self) -> None:
        self.repositories: dict[str, Repository] = {}
        self.large: dict[str, bytes] = {}
        self.readers: set[str] = set()
        self.log: list[Request] = []
        self.faults: list[Fault] = []
        self.lock = threading.Lock()

    def fault(self, line: str) -> Fault | None:
        with self.lock:
            for fault in self.faults:
                if fault.times and re.search(fault.pattern, line):
                    fault.times -= 1
                    return fault
        return None

    def fetched(self) -> set[str]:
        """Paths of the files that were downloaded since the log was cleared."""
        found = (re.search(r"/resolve/[^/]+/(.+)", path) for method, path, _ in self.log if method == "GET")
        return {match[1] for match in found if match}

    # --- answers: each takes the handler's request and gives JSON ---------------------------------------------------

    def create(self, request: Handler) -> Any:
        body = request.json()
        name = "/".join(filter(None, [body.get("organization"), body["name"]]))
        if name in self.repositories:
            raise Refused(409, url=f"{request.address}/datasets/{name}")
        private = body.get("visibility") == "private" or bool(body.get("private"))
        self.repositories[name] = Repository(private)
        return {"url": f"{request.address}/datasets/{name}", "name": name}

    def info(self, request: Handler, name: str, revision: str = "main") -> Any:
        repository = self.repositories[name]
        names = [{"rfilename": path} for path in repository.at(revision)]
        return {"id": name, "sha": repository.commit_of(revision), "siblings": names, "private": repository.private,
                "tags": [], "downloads": 0, "likes": 0}  # fmt: skip

    def refs(self, request: Handler, name: str) -> Any:
        repository = self.repositories[name]
        kinds = {"branches": repository.branches, "tags": repository.tags}
        return {"converts": []} | {
            kind: [{"name": n, "ref": f"refs/{kind}/{n}", "targetCommit": c} for n, c in names.items()]
            for kind, names in kinds.items()
        }

    def tree(self, request: Handler, name: str, revision: str, folder: str = "") -> Any:
        return [
            _entry(path, data) for path, data in self.repositories[name].at(revision).items() if path.startswith(folder)
        ]

    def preupload(self, request: Handler, name: str, revision: str) -> Any:
        present = self.repositories[name].at(revision)
        return {"files": [
            {"path": file["path"], "uploadMode": "lfs" if file["path"].endswith(LARGE) else "regular", "shouldIgnore": False}
            | ({"oid": _entry(file["path"], present[file["path"]])["oid"]} if file["path"] in present else {})
            for file in request.json()["files"]
        ]}  # fmt: skip

    def batch(self, request: Handler, name: str) -> Any:
        objects = [{"oid": wanted["oid"], "size": wanted["size"]} for wanted in request.json()["objects"]]
        for wanted in objects:
            if wanted["oid"] not in self.large:
                wanted["actions"] = {"upload": {"href": f"{request.address}/large/{wanted['oid']}"}}
        return {"transfer": "basic", "objects": objects}

    def put(self, request: Handler, oid: str) -> Any:
        data = request.body
        if hashlib.sha256(data).hexdigest() != oid:
            raise Refused(400, message="hash differs")
        self.large[oid] = data
        return {}

    def commit(self, request: Handler, name: str, revision: str) -> Any:
        files = dict(self.repositories[name].at(revision))
        for line in request.body.splitlines():
            step = json.loads(line)
            value = step["value"]
            if step["key"] == "file":
                files[value["path"]] = base64.b64decode(value["content"])
            elif step["key"] == "lfsFile":
                files[value["path"]] = self.large[value["oid"]]
            elif step["key"] == "deletedFile":
                del files[value["path"]]
        oid = self.repositories[name].add(revision, files)
        return {"commitOid": oid, "commitUrl": f"{request.address}/datasets/{name}/commit/{oid}", "success": True}

    def add_tag(self, request: Handler, name: str, revision: str) -> Any:
        repository, tag = self.repositories[name], request.json()["tag"]
        if tag in repository.tags:
            raise Refused(409)
        repository.tags[tag] = repository.commit_of(revision)
        return {}

    def delete_tag(self, request: Handler, name: str, tag: str) -> Any:
        if tag not in self.repositories[name].tags:
            raise Refused(404, "RevisionNotFound")
        del self.repositories[name].tags[tag]
        return {}

    def add_branch(self, request: Handler, name: str, branch: str) -> Any:
        repository = self.repositories[name]
        if branch in repository.branches:
            raise Refused(409)
        repository.branches[branch] = repository.branches["main"]
        return {}


def _entry(path: str, data: bytes) -> dict[str, Any]:
    sha = hashlib.sha256(data).hexdigest()
    if not path.endswith(LARGE):
        oid = hashlib.sha1(b"blob %d\0" % len(data) + data).hexdigest()
        return {"type": "file", "path": path, "size": len(data), "oid": oid}
    large = {"oid": sha, "size": len(data), "pointerSize": 130}
    return {"type": "file", "path": path, "size": len(data), "oid": sha[:40], "lfs": large}


_NAME = r"([^/]+/[^/]+)"
ROUTES: list[tuple[str, str, Callable[..., Any]]] = [
    ("POST", "/api/repos/create", Hub.create),
    ("POST", "/api/validate-yaml", lambda hub, request: {"errors": [], "warnings": []}),
    ("GET", f"/api/datasets/{_NAME}", Hub.info),
    ("GET", f"/api/datasets/{_NAME}/refs", Hub.refs),
    ("GET", f"/api/datasets/{_NAME}/revision/([^/]+)", Hub.info),
    ("GET", f"/api/datasets/{_NAME}/tree/([^/]+)/?(.*)", Hub.tree),
    ("POST", f"/api/datasets/{_NAME}/preupload/([^/]+)", Hub.preupload),
    ("POST", f"/datasets/{_NAME}\\.git/info/lfs/objects/batch", Hub.batch),
    ("PUT", "/large/([0-9a-f]+)", Hub.put),
    ("POST", f"/api/datasets/{_NAME}/commit/([^/]+)", Hub.commit),
    ("POST", f"/api/datasets/{_NAME}/tag/([^/]+)", Hub.add_tag),
    ("DELETE", f"/api/datasets/{_NAME}/tag/([^/]+)", Hub.delete_tag),
    ("POST", f"/api/datasets/{_NAME}/branch/([^/]+)", Hub.add_branch),
]


class Handler(BaseHTTPRequestHandler):
    """Finds the route, checks who may, and breaks what is to be broken."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    hub: Hub
    body: bytes

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.server.server_address[1]}"

    def json(self) -> Any:
        return json.loads(self.body or b"{}")

    def answer(self) -> None:
        path = unquote(urlsplit(self.path).path)
        begin = re.match(r"bytes=(\d+)-", self.headers.get("Range") or "")
        self.hub.log.append(Request(self.command, path, int(begin[1]) if begin else 0))
        fault = self.hub.fault(f"{self.command} {path}")
        length = int(self.headers.get("Content-Length") or 0)
        if fault and not fault.status and self.command == "PUT":
            self.rfile.read(length // 2)
            self.close_connection = True
            return
        self.body = self.rfile.read(length)
        try:
            if fault and fault.status:
                raise Refused(fault.status)
            self.allow(path)
            if found := re.fullmatch(rf"/datasets/{_NAME}/resolve/([^/]+)/(.+)", path):
                self.download(*found.groups(), cut=fault is not None)
                return
            for method, pattern, respond in ROUTES:
                if method == self.command and (match := re.fullmatch(pattern, path)):
                    self.reply(json.dumps(respond(self.hub, self, *match.groups())).encode())
                    return
            raise Refused(404)
        except Refused as refused:
            self.reply(
                json.dumps(refused.body).encode(),
                refused.status,
                {"X-Error-Code": refused.code, "X-Error-Message": refused.message},
            )

    do_GET = do_HEAD = do_POST = do_PUT = do_DELETE = answer

    def allow(self, path: str) -> None:
        """Who is not logged in sees no private repository; who may only read cannot write."""
        login = (self.headers.get("Authorization") or "").removeprefix("Bearer ")
        found = re.match(rf"/(?:api/)?datasets/{_NAME}(?:/|$|\.git/)", path)
        name = found[1].removesuffix(".git") if found else ""
        if name and (name not in self.hub.repositories or (self.hub.repositories[name].private and not login)):
            raise Refused(404 if login else 401, "RepoNotFound")
        if login == "unknown":
            raise Refused(401, message="Invalid credentials in Authorization header")
        if (
            path.startswith("/api/")
            and self.command not in ("GET", "HEAD")
            and (not login or login in self.hub.readers)
        ):
            raise Refused(403, message="You don't have the rights to write here")

    def download(self, name: str, revision: str, file: str, cut: bool) -> None:
        repository = self.hub.repositories[name]
        files = repository.at(revision)
        if file not in files:
            raise Refused(404, "EntryNotFound")
        data = files[file]
        part = re.match(r"bytes=(\d+)-(\d*)", self.headers.get("Range") or "")
        at, stop = (int(part[1]), min(int(part[2] or len(data)) + 1, len(data))) if part else (0, len(data))
        headers = {"ETag": f'"{_etag(file, data)}"', "X-Repo-Commit": repository.commit_of(revision)}
        headers["Accept-Ranges"] = "bytes"
        if part:
            headers["Content-Range"] = f"bytes {at}-{stop - 1}/{len(data)}"
        self.reply(data[at:stop], 206 if part else 200, headers, cut=cut and self.command == "GET")

    def reply(self, data: bytes, status: int = 200, headers: dict[str, str] | None = None, cut: bool = False) -> None:
        self.send_response(status)
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(data[: len(data) // 2] if cut else data)
        self.close_connection = self.close_connection or cut

    def log_message(self, format: str, *args: Any) -> None:
        """The log is kept by the hub."""


def _etag(path: str, data: bytes) -> str:
    entry = _entry(path, data)
    return entry["lfs"]["oid"] if "lfs" in entry else entry["oid"]


class Server(ThreadingHTTPServer):
    """Threads end with their connections; those that clients keep open are cut at the end."""

    daemon_threads = True

    def __init__(self, hub: Hub) -> None:
        super().__init__(("127.0.0.1", 0), type("Bound", (Handler,), {"hub": hub, "timeout": 5}))
        self.open: set[Any] = set()

    def process_request(self, request: Any, client_address: Any) -> None:
        self.open.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        self.open.discard(request)
        super().shutdown_request(request)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that went away in the middle is what some tests are about."""


@contextmanager
def serving() -> Iterator[tuple[Hub, str]]:
    """A running Hub and its address."""
    hub = Hub()
    server = Server(hub)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield hub, f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        for connection in list(server.open):
            connection.shutdown(socket.SHUT_RDWR)
        server.server_close()
        thread.join()


@contextmanager
def online(monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    """A Hub that this process and those it starts talk to, logged in as one who may write."""
    from huggingface_hub import constants
    from huggingface_hub.utils import disable_progress_bars
    from tqdm import tqdm

    disable_progress_bars()
    # It and the library below it disagree on how bytes are sent.
    warnings.filterwarnings("ignore", message="Use 'content=", category=DeprecationWarning)
    monkeypatch.setattr(tqdm, "monitor_interval", 0)  # no thread that watches bars
    with serving() as (hub, address):
        # The library reads its variables once, when it is imported, which other tests have done by now.
        monkeypatch.setattr(constants, "ENDPOINT", address)
        template = f"{address}/{{repo_id}}/resolve/{{revision}}/{{filename}}"
        monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", template)
        monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
        monkeypatch.setattr(constants, "HF_HUB_DISABLE_XET", True)
        monkeypatch.setenv("HF_ENDPOINT", address)
        monkeypatch.setenv("HF_TOKEN", "writer")
        yield hub
