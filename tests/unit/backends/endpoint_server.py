"""A server with OpenAI's chat completions on the loopback, as honest or as hostile as a test wants it."""

import asyncio
import json
import threading
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any


@dataclass
class Answer:
    """What the server sends back: a body, or something worse."""

    body: bytes = b""
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    delay: float = 0.0
    cut: bool = False
    """Close the connection in the middle of the body."""
    silent: bool = False
    """Close the connection without a word."""
    twice: bool = False
    """Send the whole response twice on one connection."""


def completion(text: str, prompt_tokens: int = 10, generated_tokens: int = 5, **choice: Any) -> bytes:
    """Return the body of a chat completion."""
    message = {"role": "assistant", "content": text}
    body = {
        "id": "one",
        "object": "chat.completion",
        "model": "mock",
        "choices": [{"index": 0, "message": message, "finish_reason": "stop", **choice}],
        "usage": {"prompt_tokens": prompt_tokens, "completion_tokens": generated_tokens},
    }
    return json.dumps(body).encode()


Behaviour = Callable[[dict[str, Any], int], Awaitable[Answer]]
"""Gets the request's body and how often this prompt was asked before; says what to answer."""


def _is_completion(body: bytes) -> bool:
    try:
        return isinstance(json.loads(body)["choices"][0]["message"]["content"], str)
    except (ValueError, LookupError):
        return False


class EndpointServer:
    """Runs in a thread of its own for the time of a `with` block."""

    def __init__(self, behaviour: Behaviour) -> None:
        self.behaviour = behaviour
        self.models: list[dict[str, Any]] = []  # what it says of its models, if asked; nothing is a 404
        self.requests: list[dict[str, Any]] = []
        self.headers: list[dict[str, str]] = []
        self.answered: list[str] = []  # prompts whose whole, well-formed answer was handed to the connection
        self.asked: dict[str, int] = {}
        self.open = self.most_open = 0
        self._loop = asyncio.new_event_loop()
        self._started = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self.url = ""

    def __enter__(self) -> "EndpointServer":
        self._thread.start()
        self._started.wait(10)
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        server = self._loop.run_until_complete(asyncio.start_server(self._serve, "127.0.0.1", 0, backlog=512))
        self.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1"
        self._started.set()
        self._loop.run_forever()
        server.close()
        open_connections = asyncio.all_tasks(self._loop)
        for task in open_connections:
            task.cancel()
        self._loop.run_until_complete(asyncio.gather(*open_connections, return_exceptions=True))
        self._loop.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while await self._exchange(reader, writer):
                pass
        except (asyncio.IncompleteReadError, ConnectionError, asyncio.CancelledError):
            pass
        finally:
            writer.close()

    async def _exchange(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        lines = head.split("\r\n")
        headers = {
            name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines[1:] if line)
        }
        body = json.loads(await reader.readexactly(int(headers.get("content-length", 0))) or b"{}")
        if lines[0].startswith("GET /v1/models") and self.models:
            listed = json.dumps({"object": "list", "data": self.models}).encode()
            writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n" % len(listed) + listed)
            return True
        if not lines[0].startswith("POST /v1/chat/completions"):
            writer.write(b"HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n")
            return True
        prompt = body["messages"][-1]["content"]
        before = self.asked.get(prompt, 0)
        self.asked[prompt] = before + 1
        self.requests.append(body)
        self.headers.append(headers)
        self.open += 1
        self.most_open = max(self.most_open, self.open)
        try:
            answer = await self.behaviour(body, before)
            await asyncio.sleep(answer.delay)
        finally:
            self.open -= 1
        return await self._send(writer, answer, prompt)

    async def _send(self, writer: asyncio.StreamWriter, answer: Answer, prompt: str) -> bool:
        if answer.silent:
            return False
        extra = "".join(f"{name}: {value}\r\n" for name, value in answer.headers.items())
        head = (
            f"HTTP/1.1 {answer.status} X\r\ncontent-type: application/json\r\n"
            f"content-length: {len(answer.body)}\r\n{extra}\r\n"
        ).encode()
        whole = head + answer.body
        if answer.cut:
            writer.write(whole[: len(head) + len(answer.body) // 2])
            await writer.drain()
            return False
        writer.write(whole * (2 if answer.twice else 1))
        await writer.drain()
        if answer.status == 200 and _is_completion(answer.body):
            self.answered.append(prompt)
        return True
