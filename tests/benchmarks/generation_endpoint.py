"""Issue targets of the endpoint backend: throughput against an ideal client, memory, and what the cache costs.

python tests/benchmarks/generation_endpoint.py [--memory-requests 100000]

The server runs in a process of its own and answers after 200 ms. The ideal client keeps 64 bare connections busy and
does nothing else; both are measured in turn, so that a busy machine slows both. Theory: 64 / 0.2 s = 320 a second.
"""

import argparse
import asyncio
import json
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from urllib.parse import urlsplit

sys.path.insert(0, str(Path(__file__).parents[1] / "unit" / "generation"))

from posologie.backends.cache import Cache
from posologie.backends.interface import Request, Session
from posologie.backends.openai_endpoint import OpenaiEndpointBackend
from posologie.backends.spec import Decoding, OpenaiEndpoint, Running
from posologie.running.commands import Progress

CONCURRENCY, LATENCY = 64, 0.2
PROMPT = "Une femme de 32 ans consulte pour une fièvre depuis trois jours. " * 30


def serve(latency: float) -> None:
    """Run the server until standard input ends; forget what was asked, so that its memory stays flat."""
    from endpoint_server import Answer, EndpointServer, completion

    async def answer(body: dict, before: int) -> Answer:
        server.requests.clear()
        server.headers.clear()
        server.asked.clear()
        server.answered.clear()
        return Answer(completion("1", 500, 1), delay=latency)

    server = EndpointServer(answer)
    with server:
        print(server.url, flush=True)
        sys.stdin.read()


async def ideal(url: str, count: int) -> float:
    """Return the requests a second of 64 connections that write fixed bytes and read the reply."""
    place = urlsplit(url)
    body = json.dumps({"model": "m", "messages": [{"role": "user", "content": PROMPT}]}).encode()
    head = f"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\ncontent-length: {len(body)}\r\n\r\n".encode()
    numbers = iter(range(count))

    async def connection() -> None:
        reader, writer = await asyncio.open_connection(place.hostname, place.port)
        for _ in numbers:
            writer.write(head + body)
            answer = await reader.readuntil(b"\r\n\r\n")
            await reader.readexactly(int(answer.split(b"content-length: ")[1].split(b"\r\n")[0]))
        writer.close()

    started = time.perf_counter()
    await asyncio.gather(*(connection() for _ in range(CONCURRENCY)))
    return count / (time.perf_counter() - started)


def ours(url: str, count: int, folder: Path) -> float:
    """Return the requests a second of the backend with its cache."""
    backend = OpenaiEndpointBackend(
        OpenaiEndpoint(url=url, model="m", key_variable=None), Running(concurrency=CONCURRENCY)
    )
    requests = (Request((("user", f"{PROMPT}{number}"),), Decoding(max_new_tokens=8)) for number in range(count))
    with Cache(folder / "responses.sqlite") as cache:
        session = Session(backend, cache)
        started, busy = time.perf_counter(), time.process_time()
        session.complete(requests, Progress(folder, "benchmark", count, "requests"))
        elapsed = time.perf_counter() - started
        print(f"{1000 * (time.process_time() - busy) / count:.2f} ms of processor time a request", flush=True)
        assert cache.observed().replies == count
    return count / elapsed


def cache_costs(folder: Path, count: int = 5000) -> dict[str, float]:
    """Return milliseconds of a hit, and of a claim and store, in a cache that holds `count` replies."""
    hits, stores = [], []
    running = Running(budget_tokens=10**12)
    with Cache(folder / "costs.sqlite") as cache:
        for number in range(count):
            key = number.to_bytes(32, "big")
            started = time.perf_counter()
            cache.claim(key, 100, 0.0, running)
            cache.settle(key, PROMPT, PROMPT, len(PROMPT), (500, 1), 0.0)
            stores.append(time.perf_counter() - started)
        for number in range(count):
            started = time.perf_counter()
            assert cache.reply(number.to_bytes(32, "big"))
            hits.append(time.perf_counter() - started)
    costs = {}
    for name, seconds in (("hit", hits), ("store", stores)):
        ordered = sorted(seconds)
        costs |= {
            f"{name}_ms_median": 1000 * statistics.median(ordered),
            f"{name}_ms_mean": 1000 * statistics.fmean(ordered),
        }
        costs |= {f"{name}_ms_p99": 1000 * ordered[int(0.99 * count)]}
    return costs


def peak_mb() -> float:
    """Return the largest memory that this process has had."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def started_server(latency: float) -> tuple[subprocess.Popen, str]:
    """Start the server in a process of its own and return its address."""
    process = subprocess.Popen(
        [sys.executable, __file__, "--serve", str(latency)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    return process, process.stdout.readline().strip()


def main() -> None:
    """Measure, print."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--serve", type=float)
    arguments.add_argument("--requests", type=int, default=3000, help="requests of one throughput run")
    arguments.add_argument("--rounds", type=int, default=3, help="throughput runs of either client, in turn")
    arguments.add_argument("--memory-requests", type=int, default=0, help="requests of the memory run, without latency")
    options = arguments.parse_args()
    if options.serve is not None:
        return serve(options.serve)
    with tempfile.TemporaryDirectory() as temporary:
        print({name: round(value, 3) for name, value in cache_costs(Path(temporary)).items()})
        process, url = started_server(LATENCY)
        ratios = []
        for number in range(options.rounds):
            best = asyncio.run(ideal(url, options.requests))
            rate = ours(url, options.requests, Path(temporary) / str(number))
            ratios.append(rate / best)
            print(f"ideal client {best:.0f}/s, ours {rate:.0f}/s, ratio {rate / best:.3f}")
        if ratios:
            print(f"ratio {statistics.median(ratios):.3f} ({min(ratios):.3f} to {max(ratios):.3f}; target 0.9)")
        process.terminate()
        if options.memory_requests:
            process, url = started_server(0.0)
            for count in (options.memory_requests // 10, options.memory_requests):
                rate = ours(url, count, Path(temporary) / f"memory-{count}")
                print(f"{count} requests: {rate:.0f}/s, peak {peak_mb():.0f} MB (target 500 for 100000)", flush=True)
            process.terminate()
    return None


if __name__ == "__main__":
    main()
