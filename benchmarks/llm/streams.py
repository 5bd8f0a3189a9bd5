"""Reads streams of events as fast as they come: prints events a second, and the median time to the first byte in ms.

    streams.py PORT CONNECTIONS STREAMS TOKENS
"""

import asyncio
import statistics
import sys
import time


async def one(port, streams, tokens, firsts):
    body = (
        '{"model":"m","stream":true,"stream_options":{"include_usage":true},"max_tokens":%d,'
        '"messages":[{"role":"user","content":"Hello"}]}' % tokens
    ).encode()
    head = b"POST /v1/chat/completions HTTP/1.1\r\nHost: h\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n"
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    events = 0
    for _ in range(streams):
        start = time.perf_counter()
        writer.write(head % len(body) + body)
        first, tail = True, b""
        while True:
            data = await reader.read(1 << 18)
            if not data:
                raise SystemExit("the stream broke off")
            if first:
                firsts.append(time.perf_counter() - start)
                first = False
            joined = tail + data
            events += joined.count(b"data: {") - tail.count(b"data: {")
            tail = joined[-32:]
            if tail.endswith(b"\r\n0\r\n\r\n"):
                break
    writer.close()
    return events


async def main():
    port, connections, streams, tokens = map(int, sys.argv[1:])
    firsts = []
    start = time.perf_counter()
    events = await asyncio.gather(*(one(port, streams, tokens, firsts) for _ in range(connections)))
    took = time.perf_counter() - start
    print("%.0f %.3f" % (sum(events) / took, 1000 * statistics.median(firsts)))


asyncio.run(main())
