"""Serves the page over HTTP to browsers on this machine: reads only, and only what the dataset's metadata name.

Knows requests; what is answered is `content`'s. A page of another site cannot reach it: neither by a name that leads here
(the `Host` is checked), nor by embedding what it serves (`Sec-Fetch-Site`), and the page itself may load from here alone.
"""

from __future__ import annotations

import ipaddress
import json
import math
import re
import socket
import sys
import traceback
from collections.abc import Callable, Mapping
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib.resources import files
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import parse_qsl, unquote

from lerobot_core.errors import DataError, LeRobotError
from lerobot_datasets.v3.layout import Place
from lerobot_datasets.view.content import Content, Wanted

#: A browser opens six connections to a host; a video must not hold one for as long as it is watched.
_MOST_AT_ONCE = 1024**2

_PAGES = {
    "page.html": "text/html; charset=utf-8",
    "page.css": "text/css; charset=utf-8",
    "icon.svg": "image/svg+xml",
    **dict.fromkeys(("page.js", "dom.js", "list.js", "player.js", "plots.js"), "text/javascript; charset=utf-8"),
}
_SAFE = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob:; "
    "media-src 'self'; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
}


class Answer(NamedTuple):
    """What is sent for a request.

    Attributes:
        body: the bytes, or a file to send or a part of it.
        media: media type.
        kept: whether the browser may keep it while this server runs.
    """

    body: bytes | Path
    media: str
    kept: bool = False


class _Refused(Exception):
    """A request that is not answered: status and reason."""

    def __init__(self, status: HTTPStatus, reason: str, hint: str = "") -> None:
        self.status, self.reason, self.hint = status, reason, hint


class Server(ThreadingHTTPServer):
    """The server of one dataset's page, bound but not yet answering.

    Args:
        content: what is shown.
        host: address to listen on.
        port: its port; a free one when 0.

    Raises:
        LeRobotError: the address cannot be had.
    """

    daemon_threads = True
    block_on_close = False

    def __init__(self, content: Content, host: str = "127.0.0.1", port: int = 0) -> None:
        self.content, self.host = content, host
        self.address_family = socket.AF_INET6 if ":" in host else socket.AF_INET
        try:
            super().__init__((host, port), _Handler)
        except OSError as failure:
            raise LeRobotError(
                f"cannot listen on {host}, port {port}: {failure.strerror}", hint="--port=0 takes a free one"
            ) from failure

    @property
    def url(self) -> str:
        """Where the page is."""
        name = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}.get(
            self.host, f"[{self.host}]" if ":" in self.host else self.host
        )
        return f"http://{name}:{self.server_port}/"

    def is_ours(self, host: str) -> bool:
        """Whether a `Host` header names this machine: a number, a name of its own, or the one listened on.

        Another name may be a stranger's, made to lead here so that his page reads what is served.
        """
        name = re.sub(r":\d+$", "", host).strip("[]").lower()
        try:
            return bool(ipaddress.ip_address(name))
        except ValueError:
            return name in ("localhost", self.host.lower(), socket.gethostname().lower())

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A browser that goes away is no error."""
        if not isinstance(sys.exception(), (ConnectionError, TimeoutError)):
            super().handle_error(request, client_address)


class _Handler(BaseHTTPRequestHandler):
    server: Server
    protocol_version = "HTTP/1.1"
    timeout = 60  # of a connection nobody uses [s]

    def do_GET(self) -> None:
        try:
            self._require_ours()
            answer = _answer(self.server.content, self.path)
            (self._send_file if isinstance(answer.body, Path) else self._send)(answer)
        except _Refused as refused:
            self._send_problem(refused.status, refused.reason, refused.hint)
        except DataError as problem:
            self._send_problem(HTTPStatus.UNPROCESSABLE_ENTITY, problem.message, problem.hint)
        except ConnectionError:
            self.close_connection = True
        except Exception as failure:
            traceback.print_exc(file=sys.stderr)
            self._send_problem(HTTPStatus.INTERNAL_SERVER_ERROR, f"{type(failure).__name__}: {failure}")

    do_HEAD = do_GET

    def do_POST(self) -> None:
        self.close_connection = True  # what it brought is not read
        self._send_problem(HTTPStatus.METHOD_NOT_ALLOWED, "this page is for reading")

    do_PUT = do_DELETE = do_PATCH = do_OPTIONS = do_POST

    def version_string(self) -> str:
        return "lr"

    def log_message(self, format: str, *args: Any) -> None:
        """Nobody needs a line per picture."""

    def _require_ours(self) -> None:
        if not self.server.is_ours(self.headers.get("Host", "")):
            raise _Refused(HTTPStatus.MISDIRECTED_REQUEST, "this is not the host you asked for", self.server.url)
        site, mode = self.headers.get("Sec-Fetch-Site"), self.headers.get("Sec-Fetch-Mode")
        if site not in (None, "same-origin", "none") and mode != "navigate":
            raise _Refused(HTTPStatus.FORBIDDEN, "asked for by a page of another site")

    def _send_problem(self, status: HTTPStatus, reason: str, hint: str | None = "") -> None:
        self._send(Answer(_json({"error": reason, "hint": hint or ""}), _JSON), status)

    def _send(self, answer: Answer, status: HTTPStatus = HTTPStatus.OK) -> None:
        self._head(status, answer, len(answer.body))  # type: ignore[arg-type]
        if self.command != "HEAD":
            self.wfile.write(answer.body)  # type: ignore[arg-type]

    def _head(self, status: HTTPStatus, answer: Answer, length: int, **more: str) -> None:
        self.send_response(status)
        headers = {"Content-Type": answer.media, "Content-Length": str(length), **_SAFE}
        headers["Cache-Control"] = "private, max-age=86400" if answer.kept else "no-store"
        for name, value in (headers | {k.replace("_", "-"): v for k, v in more.items()}).items():
            self.send_header(name, value)
        self.end_headers()

    def _send_file(self, answer: Answer) -> None:
        """A file, or the part of it asked for: at most a piece, for browsers ask for the next by themselves."""
        with Path(answer.body).open("rb") as file:  # type: ignore[arg-type]
            size = file.seek(0, 2)
            first, last = 0, size - 1
            if (asked := self.headers.get("Range")) is None:
                self._head(HTTPStatus.OK, answer, size, Accept_Ranges="bytes")
            elif (part := part_of(asked, size)) is None:
                self._head(HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE, answer, 0, Content_Range=f"bytes */{size}")
                return
            else:
                first, last = part
                says = f"bytes {first}-{last}/{size}"
                self._head(
                    HTTPStatus.PARTIAL_CONTENT, answer, last + 1 - first, Accept_Ranges="bytes", Content_Range=says
                )
            file.seek(first)
            while first <= last and self.command != "HEAD":
                piece = file.read(min(_MOST_AT_ONCE, last + 1 - first))
                if not piece:  # the file became shorter: the length announced cannot be kept
                    self.close_connection = True
                    return
                self.wfile.write(piece)
                first += len(piece)


def part_of(asked: str, size: int) -> tuple[int, int] | None:
    """First and last byte to send for a `Range` header; None where the file has no such bytes."""
    found = re.fullmatch(r"bytes=(\d{0,18})-(\d{0,18})", asked.strip())
    if found is None or not (found[1] or found[2]):
        return None
    if not found[1]:
        first, last = max(size - int(found[2]), 0), size - 1
    else:
        first, last = int(found[1]), min(int(found[2] or size), size - 1)
    return (first, min(last, first + _MOST_AT_ONCE - 1)) if first <= last else None


# --- what is where ----------------------------------------------------------------------------------------------------

_JSON = "application/json"
_NUMBERS = "application/octet-stream"


def _json(value: Any) -> bytes:
    return json.dumps(_plain(value), ensure_ascii=False, default=str).encode()


def _plain(value: Any) -> Any:
    """As JSON has it: without NaN and infinity."""
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    if isinstance(value, Mapping):
        return {str(key): _plain(inner) for key, inner in value.items()}
    return [_plain(inner) for inner in value] if isinstance(value, (list, tuple)) else value


def _answer(content: Content, target: str) -> Answer:
    """The answer to a path with its query.

    Raises:
        _Refused: there is no such place, or the query is none.
        DataError: the dataset has no such thing.
    """
    path, _, rest = target.partition("?")
    try:
        query = dict(parse_qsl(rest, max_num_fields=20, errors="strict"))
    except ValueError:
        raise _Refused(HTTPStatus.BAD_REQUEST, "the query is none") from None
    for place, answer in _PLACES:
        if (found := place.fullmatch(path)) is not None:
            return answer(content, query, *map(unquote, found.groups()))
    raise _Refused(HTTPStatus.NOT_FOUND, f"nothing is at {path[:100]}")


def _number(query: Mapping[str, str], name: str, default: int) -> int:
    text = query.get(name, str(default))
    if not re.fullmatch(r"[0-9]{1,9}", text):
        raise _Refused(HTTPStatus.BAD_REQUEST, f"'{name}' is a number, got '{text[:100]}'")
    return int(text)


def _page(content: Content, query: Mapping[str, str], name: str) -> Answer:
    name = name or "page.html"
    if name not in _PAGES:
        raise _Refused(HTTPStatus.NOT_FOUND, "nothing is there")
    return Answer(files(__package__).joinpath("static", name).read_bytes(), _PAGES[name])


def _dataset(content: Content, query: Mapping[str, str]) -> Answer:
    return Answer(_json(content.dataset()), _JSON)


def _episodes(content: Content, query: Mapping[str, str]) -> Answer:
    wanted = Wanted(
        text=query.get("text", ""),
        shortest=_number(query, "shortest", 0),
        longest=_number(query, "longest", 0) if "longest" in query else None,
        flags=_number(query, "flags", 0),
    )
    return Answer(content.episodes(wanted).tobytes(), _NUMBERS)


def _tasks(content: Content, query: Mapping[str, str]) -> Answer:
    numbers = query.get("episodes", "")
    if not re.fullmatch(r"[0-9]{1,9}(,[0-9]{1,9})*", numbers):
        raise _Refused(HTTPStatus.BAD_REQUEST, "'episodes' is a list as 0,1,2")
    return Answer(_json(content.tasks([int(number) for number in numbers.split(",")])), _JSON)


def _episode(content: Content, query: Mapping[str, str], number: str) -> Answer:
    return Answer(_json(content.episode(int(number))), _JSON)


def _values(content: Content, query: Mapping[str, str], number: str, key: str) -> Answer:
    return Answer(content.values(int(number), key).tobytes(), _NUMBERS)


def _findings(content: Content, query: Mapping[str, str], number: str) -> Answer:
    return Answer(_json(content.findings(int(number))), _JSON)


def _looked(content: Content, query: Mapping[str, str]) -> Answer:
    """How many episodes were looked at; with `all=1`, the rest is begun."""
    if query.get("all") == "1":
        content.look_at_all()
    return Answer(_json({"looked": content.quality.looked, "flagged": int((content.quality.bits != 0).sum())}), _JSON)


def _video(content: Content, query: Mapping[str, str], camera: str, chunk: str, file: str) -> Answer:
    return Answer(content.video(camera, Place(int(chunk), int(file))), "video/mp4", kept=True)


def _picture(content: Content, query: Mapping[str, str], number: str, camera: str, frame: str) -> Answer:
    return Answer(*content.picture(int(number), camera, int(frame)), kept=True)


_N, _KEY = "([0-9]{1,9})", "([^/]+)"
_PLACES: list[tuple[re.Pattern[str], Callable[..., Answer]]] = [
    (re.compile(path), answer)
    for path, answer in (
        ("/([a-z.]*)", _page),
        ("/data/dataset", _dataset),
        ("/data/episodes", _episodes),
        ("/data/tasks", _tasks),
        (f"/data/episode/{_N}", _episode),
        (f"/data/values/{_N}/{_KEY}", _values),
        (f"/data/findings/{_N}", _findings),
        ("/data/looked", _looked),
        (f"/data/video/{_KEY}/{_N}/{_N}", _video),
        (f"/data/picture/{_N}/{_KEY}/{_N}", _picture),
    )
]
