"""A server with the manners of llama-server on its command line, and the faults of engines on request.

It is run as a process of its own: `fake_engine.py --record FILE [--fault NAME] --model … --host … --port … --alias …`.
The record gets one line of JSON for its start (pid, words, environment) and one for each request.
"""

import argparse
import json
import math
import os
import subprocess
import sys
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


def note(record, **facts):
    with open(record, "a", encoding="utf-8") as file:
        file.write(json.dumps(facts) + "\n")


class Handler(BaseHTTPRequestHandler):
    """Answers like llama-server: GET /health, /props, /v1/models; POST /v1/chat/completions."""

    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def send(self, status, body):
        data = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("content-length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def do_GET(self):
        options = self.server.options
        if options.fault == "never ready" or time.monotonic() < self.server.ready:
            return self.send(503, {"error": {"message": "Loading model"}})
        name = "another" if options.fault == "wrong name" else options.alias
        return self.send(200, {"data": [{"id": name}], "build_info": "b77-fake", "status": "ok"})

    def do_POST(self):
        options = self.server.options
        body = json.loads(self.rfile.read(int(self.headers["content-length"])))
        if self.headers.get("Authorization") != f"Bearer {os.environ['LLAMA_API_KEY']}":
            return self.send(401, {"error": {"message": "no key"}})
        note(options.record, request=body)
        text = body["messages"][-1]["content"]
        if options.fault == "crash in the middle" and "boom" in text:
            print(f"segfault with key {os.environ['LLAMA_API_KEY']}", flush=True)
            os._exit(139)
        if options.fault == "stuck" and "stuck" in text:
            time.sleep(60)
        reply = " B,A" if "grammar" in body and "after-" in body["grammar"] else "1"
        reply = "no label" if "grammar" in body and options.fault == "ignores grammars" else reply
        choice = {"index": 0, "message": {"role": "assistant", "content": reply}, "finish_reason": "stop"}
        if body.get("logprobs"):
            top = [{"token": token, "logprob": math.log(share)} for token, share in (("1", 0.6), (" 0", 0.2))]
            choice["logprobs"] = {"content": [{"token": "1", "logprob": math.log(0.6), "top_logprobs": top}]}
        usage = {"prompt_tokens": 7, "completion_tokens": 1}
        return self.send(200, {"choices": [choice], "usage": usage, "model": options.alias})


def main():
    arguments = argparse.ArgumentParser()
    arguments.add_argument("--fault")
    for name in ("--record", "--model", "--host", "--alias"):
        arguments.add_argument(name)
    arguments.add_argument("--port", type=int)
    options, _ = arguments.parse_known_args()
    worker = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(300)"], start_new_session=True)
    before = os.path.exists(options.record)
    note(options.record, pid=os.getpid(), worker=worker.pid, words=sys.argv[1:], environment=dict(os.environ))
    print("loading", options.model, flush=True)
    if options.fault == "crash on start":
        sys.exit("bad magic in the file")
    if options.fault == "out of memory":
        sys.exit("CUDA error: out of memory")
    if options.fault == "port taken once" and not before:
        sys.exit(f"couldn't bind HTTP server socket, port: {options.port}")
    server = ThreadingHTTPServer((options.host, options.port), Handler)
    server.daemon_threads = True
    server.options = options
    server.ready = time.monotonic() + (0.5 if options.fault == "slow start" else 0.0)
    server.serve_forever()


if __name__ == "__main__":
    main()
