"""A server on the loopback interface that answers like the hub: one repository of data or a model, faults on demand."""

import hashlib
import json
import threading
from collections import Counter
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit


@dataclass
class Repository:
    name: str
    files: dict[str, bytes]
    commit: str = "1f" * 20
    kind: str = "datasets"
    branches: tuple[str, ...] = ("main",)
    token: str | None = None
    large: frozenset[str] = frozenset()
    missing: set[str] = field(default_factory=set)
    cut_once: set[str] = field(default_factory=set)
    cut_always: set[str] = field(default_factory=set)
    damaged: set[str] = field(default_factory=set)
    requests: Counter = field(default_factory=Counter)
    tokens: set = field(default_factory=set)

    def entry(self, name):
        content = self.files[name]
        blob = hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()
        entry = {"type": "file", "path": name, "rfilename": name, "oid": blob, "blobId": blob, "size": len(content)}
        if name in self.large:
            checksum = hashlib.sha256(content).hexdigest()
            entry["lfs"] = {"oid": checksum, "sha256": checksum, "size": len(content), "pointerSize": 130}
        return entry


class Hub(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, repository):
        super().__init__(("127.0.0.1", 0), _Handler)
        self.repository = repository

    @property
    def address(self):
        return f"http://127.0.0.1:{self.server_address[1]}"

    def __enter__(self):
        threading.Thread(target=self.serve_forever, args=(0.01,), daemon=True).start()
        return self

    def __exit__(self, *_):
        self.shutdown()
        self.server_close()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def do_HEAD(self):
        self.do_GET()

    def do_GET(self):
        repository = self.server.repository
        path = urlsplit(self.path).path
        authorization = self.headers.get("Authorization")
        repository.tokens.add(authorization)
        if repository.token and authorization != f"Bearer {repository.token}":
            return self.refuse(401, "RepoNotFound")
        prefix = f"/api/{repository.kind}/{repository.name}/"
        if path.startswith(prefix):
            return self.metadata(repository, path.removeprefix(prefix))
        root = "" if repository.kind == "models" else f"/{repository.kind}"
        prefix = f"{root}/{repository.name}/resolve/{repository.commit}/"
        if path.startswith(prefix):
            return self.file(repository, path.removeprefix(prefix))
        return self.refuse(404, "RepoNotFound")

    def metadata(self, repository, what):
        kind, _, revision = what.partition("/")
        if revision not in (*repository.branches, repository.commit):
            return self.refuse(404, "RevisionNotFound")
        entries = [repository.entry(name) for name in sorted(repository.files)]
        answer = entries
        if kind == "revision":
            answer = {"id": repository.name, "sha": repository.commit, "siblings": entries}
        return self.answer(200, json.dumps(answer).encode(), {"Content-Type": "application/json"})

    def file(self, repository, name):
        if name in repository.missing or name not in repository.files:
            return self.refuse(404, "EntryNotFound")
        entry, content = repository.entry(name), repository.files[name]
        headers = {
            "ETag": f'"{entry["lfs"]["sha256"] if "lfs" in entry else entry["blobId"]}"',
            "X-Repo-Commit": repository.commit,
            "Accept-Ranges": "bytes",
        }
        if self.command == "GET":
            repository.requests[name] += 1
            if name in repository.damaged:
                content = content[:-1] + bytes([content[-1] ^ 1])
        status = 200
        if asked := self.headers.get("Range"):
            start = int(asked.removeprefix("bytes=").partition("-")[0])
            headers["Content-Range"] = f"bytes {start}-{len(content) - 1}/{len(content)}"
            content, status = content[start:], 206
        cut = name in repository.cut_always or (name in repository.cut_once and repository.requests[name] == 1)
        sent = b"" if name in repository.cut_always else content[: len(content) // 2]
        return self.answer(status, content, headers, sent if cut else content)

    def answer(self, status, content, headers, sent=None):
        self.send_response(status)
        for key, value in headers.items():
            self.send_header(key, value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(content if sent is None else sent)
            if sent is not None and len(sent) < len(content):
                self.close_connection = True

    def refuse(self, status, code):
        return self.answer(status, b"{}", {"X-Error-Code": code, "X-Error-Message": code})
