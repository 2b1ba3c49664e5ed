"""A small GitHub on the loopback interface: the endpoints that greendiff uses, with state, faults, and Git itself.

Every request is checked against GitHub's published API description; Git is served by Git's own `http-backend`, and
takes a push only with a credential that is good now.
"""

from __future__ import annotations

import base64
import json
import os
import subprocess
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

from tests.forge.description import objections, operation
from tests.forge.endpoints import Refusal, State, answer

API = "/api/v3"


@dataclass
class Fault:
    """What happens to the next requests that fit."""

    method: str
    ends: str
    """The path's end."""
    status: int
    body: dict[str, Any] = field(default_factory=dict)
    headers: dict[str, str] = field(default_factory=dict)
    times: int = 1
    after: bool = False
    """Whether the request is carried out before it fails."""
    drop: bool = False
    """Close the connection without an answer."""


@dataclass
class Seen:
    method: str
    path: str
    body: Any


class Server:
    """Runs until it is closed; `state` may be changed at any time."""

    def __init__(self, folder: Path, name: str = "acme/shop") -> None:
        self.folder = folder
        self.faults: list[Fault] = []
        self.seen: list[Seen] = []
        self.objections: list[str] = []
        self._lock = threading.RLock()
        server = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *arguments: object) -> None:
                pass

            def __getattr__(self, method: str) -> Callable[[], None]:
                if method.startswith("do_"):
                    return lambda: server.handle(self)
                raise AttributeError(method)

        self._http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._http.daemon_threads = True
        self.web = f"http://127.0.0.1:{self._http.server_address[1]}"
        self.api = self.web + API
        self.state = State(name, self.web, folder / f"{name}.git")
        threading.Thread(target=self._http.serve_forever, args=(0.05,), daemon=True).start()

    def close(self) -> None:
        self._http.shutdown()
        self._http.server_close()

    def requests(self, method: str, ends: str = "") -> list[Seen]:
        """Return the API requests of a kind so far."""
        return [one for one in self.seen if one.method == method and one.path.endswith(ends)]

    def handle(self, http: BaseHTTPRequestHandler) -> None:
        size = int(http.headers.get("Content-Length") or 0)
        if http.headers.get("Transfer-Encoding", "").lower() == "chunked":
            data = b""
            while length := int(http.rfile.readline().split(b";")[0], 16):
                data += http.rfile.read(length)
                http.rfile.readline()
            http.rfile.readline()
        else:
            data = http.rfile.read(size)
        parts = urlsplit(http.path)
        if ".git/" in parts.path:
            return self._git(http, parts.path, parts.query, data)
        with self._lock:
            self._api(http, parts.path.removeprefix("/api").removeprefix("/v3"), dict(parse_qsl(parts.query)), data)
        return None

    def _api(self, http: BaseHTTPRequestHandler, path: str, query: dict[str, str], data: bytes) -> None:
        body = json.loads(data) if data else None
        method = http.command
        self.seen.append(Seen(method, path, body))
        fault = next((f for f in self.faults if f.method == method and path.endswith(f.ends) and f.times > 0), None)
        if fault is not None:
            fault.times -= 1
            if fault.after:
                self._answered(http.headers.get("Authorization", ""), method, path, query, body)
            if fault.drop:
                http.close_connection = True
                http.connection.close()
                return
            self._send(http, fault.status, fault.body, fault.headers)
            return
        status, found, headers = self._answered(http.headers.get("Authorization", ""), method, path, query, body)
        self._send(http, status, found, headers)

    def _answered(
        self, authorization: str, method: str, path: str, query: dict[str, str], body: Any
    ) -> tuple[int, Any, dict[str, str]]:
        found = None if path.startswith(("/repositories/", "/graphql")) else operation(method, unquote(path))
        if found is None and (parts := path.split("/"))[-2:-1] == ["branches"]:
            found = operation(method, "/".join([*parts[:-1], "b"]))
        if found is None and not path.startswith(("/repositories/", "/graphql")):
            self.objections.append(f"{method} {path}: not in GitHub's description")
            return 404, {"message": "Not Found"}, {}
        if found is not None and (wrong := objections(found, query, body)):
            self.objections += [f"{method} {path}: {one}" for one in wrong]
            return 422, {"message": "Validation Failed", "errors": wrong}, {}
        try:
            return answer(self.state, authorization, method, path, query, body)
        except Refusal as refusal:
            return refusal.status, refusal.body, refusal.headers

    def _send(self, http: BaseHTTPRequestHandler, status: int, body: Any, headers: dict[str, str]) -> None:
        data = json.dumps(body).encode() if body is not None else b""
        http.send_response(status)
        for name, value in {"Content-Type": "application/json", **headers}.items():
            http.send_header(name, value)
        http.send_header("Content-Length", str(len(data)))
        http.end_headers()
        http.wfile.write(data)

    def _git(self, http: BaseHTTPRequestHandler, path: str, query: str, data: bytes) -> None:
        pushing = "git-receive-pack" in (path + query)
        kind, _, coded = http.headers.get("Authorization", "").partition(" ")
        password = base64.b64decode(coded).decode().partition(":")[2] if kind == "Basic" else ""
        if not self.state.good(password):
            http.send_response(401)
            http.send_header("WWW-Authenticate", 'Basic realm="GitHub"')
            http.send_header("Content-Length", "0")
            http.end_headers()
            return
        if pushing and self.state.archived:
            http.send_response(403)
            text = b"This repository was archived so it is read-only."
            http.send_header("Content-Type", "text/plain")
            http.send_header("Content-Length", str(len(text)))
            http.end_headers()
            http.wfile.write(text)
            return
        environment = {
            "PATH": os.environ["PATH"], "GIT_PROJECT_ROOT": str(self.folder), "GIT_HTTP_EXPORT_ALL": "1",
            "PATH_INFO": path, "QUERY_STRING": query, "REQUEST_METHOD": http.command, "REMOTE_USER": "somebody",
            "CONTENT_TYPE": http.headers.get("Content-Type", ""), "CONTENT_LENGTH": str(len(data)),
            "GIT_PROTOCOL": http.headers.get("Git-Protocol", ""), "GIT_CONFIG_NOSYSTEM": "1", "HOME": str(self.folder),
            "HTTP_CONTENT_ENCODING": http.headers.get("Content-Encoding", ""),
        }  # fmt: skip
        done = subprocess.run(["git", "http-backend"], input=data, env=environment, capture_output=True)
        head, _, body = done.stdout.partition(b"\r\n\r\n")
        lines = [line.partition(b": ") for line in head.split(b"\r\n")]
        status = next((int(v.split()[0]) for n, _, v in lines if n == b"Status"), 200)
        http.send_response(status)
        for name, _, value in lines:
            if name and name != b"Status":
                http.send_header(name.decode(), value.decode())
        http.send_header("Content-Length", str(len(body)))
        http.end_headers()
        http.wfile.write(body)
