"""A loopback server with files and batches as OpenAI documents them."""

import json
import threading
from email.parser import BytesParser
from email.policy import HTTP
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from endpoint_server import completion


def answered(custom_id, text="yes", status=200, body=None):
    """Return a line of an output file."""
    content = json.loads(completion(text)) if body is None else body
    return {"id": "r", "custom_id": custom_id, "response": {"status_code": status, "body": content}, "error": None}


class BatchServer:
    """Runs in threads for the time of a `with` block.

    `behaviour(prompt, before)` says what becomes of a request, `before` being how often it was handed over before: a
    text, a status, or None for no line at all. `ends` are the statuses that batches end with, in their order, then
    `completed`; each is seen after `looks` looks.
    """

    def __init__(self, behaviour=lambda prompt, before: f"echo {prompt}", ends=(), looks=1):
        self.behaviour, self.ends, self.looks = behaviour, list(ends), looks
        self.files, self.batches, self.asked, self.broken = {}, {}, {}, set()
        self.lock = threading.Lock()
        server = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *_):
                pass

            def answer(self, status, body):
                data = body if isinstance(body, bytes) else json.dumps(body).encode()
                self.send_response(status)
                self.send_header("content-type", "application/json")
                self.send_header("content-length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            def do_POST(self):
                data = self.rfile.read(int(self.headers.get("content-length", 0)))
                with server.lock:
                    self.answer(*server.post(self.path, data, self.headers))

            def do_GET(self):
                with server.lock:
                    self.answer(*server.get(self.path.split("?")[0]))

        self.http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.http.server_port}/v1"

    def __enter__(self):
        threading.Thread(target=self.http.serve_forever, args=(0.02,), daemon=True).start()
        return self

    def __exit__(self, *_):
        self.http.shutdown()
        self.http.server_close()

    def post(self, path, data, headers):
        if path == "/v1/files":
            head = f"content-type: {headers['content-type']}\r\n\r\n".encode()
            parts = BytesParser(policy=HTTP).parsebytes(head + data).iter_parts()
            content = next(part.get_payload(decode=True) for part in parts if part.get_filename())
            name = f"file-{len(self.files)}"
            self.files[name] = content
            return 200, {"id": name, "object": "file", "bytes": len(content), "created_at": 1, "filename": "x",
                         "purpose": "batch", "status": "processed"}  # fmt: skip
        if path.endswith("/cancel"):
            batch = self.batches[path.split("/")[3]]
            batch["end"], batch["seen"] = "cancelled", 10**6
            return 200, self.shown(batch)
        order = json.loads(data)
        if "create" in self.broken:
            return 400, {"error": {"message": "no batches here", "code": "x"}}
        name = f"batch_{len(self.batches)}"
        end = self.ends.pop(0) if self.ends else "completed"
        self.batches[name] = {"id": name, "order": order, "seen": 0, "end": end}
        return 200, self.shown(self.batches[name])

    def get(self, path):
        parts = path.split("/")
        if parts[2] == "files":
            return 200, self.files[parts[3]]
        if len(parts) == 3:
            return 200, {
                "object": "list",
                "data": [self.shown(batch) for batch in self.batches.values()],
                "has_more": False,
            }
        batch = self.batches[parts[3]]
        batch["seen"] += 1
        if batch["seen"] >= self.looks and "output" not in batch:
            self.run(batch)
        return 200, self.shown(batch)

    def run(self, batch):
        batch["output"], errors = [], []
        for line in self.files[batch["order"]["input_file_id"]].decode().splitlines():
            call = json.loads(line)
            assert (call["method"], call["url"]) == ("POST", "/v1/chat/completions")
            prompt = call["body"]["messages"][-1]["content"]
            before = self.asked.get(prompt, 0)
            self.asked[prompt] = before + 1
            became = None if batch["end"] == "failed" else self.behaviour(prompt, before)
            if isinstance(became, str):
                batch["output"].append(answered(call["custom_id"], became))
            elif isinstance(became, int):
                errors.append(
                    answered(call["custom_id"], status=became, body={"error": {"message": f"{became} it is"}})
                )
        for name, lines in (("output", batch["output"]), ("errors", errors)):
            file = f"{batch['id']}-{name}"
            batch[f"{name}_file"] = file if lines else None
            self.files[file] = "\n".join(map(json.dumps, reversed(lines))).encode()

    def shown(self, batch):
        done = "output" in batch
        body = {"id": batch["id"], "object": "batch", "endpoint": "/v1/chat/completions", "created_at": 1,
                "completion_window": "24h", "input_file_id": batch["order"]["input_file_id"],
                "metadata": batch["order"].get("metadata"), "status": batch["end"] if done else "in_progress",
                "output_file_id": batch.get("output_file"), "error_file_id": batch.get("errors_file"),
                "request_counts": {"total": 1, "completed": 0, "failed": 0}}  # fmt: skip
        if done and batch["end"] == "failed":
            body["errors"] = {
                "object": "list",
                "data": [{"line": 1, "message": "not JSON", "code": "x", "param": None}],
            }
        return body
