"""The process: connects to the server, loads the script, and answers calls until the server goes."""

import asyncio
import ctypes
import gc
import os
import signal
import socket
import struct
import sys
import threading
import traceback

from . import chain, completions, kserve_shape, script, wire
from .memory import Regions

TRACE_LINES = 6

# What a result begins with, by its flags.
FLAGS = [bytes((flags,)) for flags in range(8)]

# What a script may raise and go on serving.
FAILURES = (Exception, SystemExit, asyncio.CancelledError)

# Characters of a traceback that are told.
MOST_TRACE = 8 << 10


class Connection:
    """One of the server's connections, on which one call is answered after the other."""

    def __init__(self, path):
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.socket.connect(path)
        self.frames = wire.Frames(self.socket)
        self.is_open = True
        self.awaited = None
        self.regions = Regions()

    def parse(self, frame):
        return wire.Call(frame, self.regions.inputs)

    def inputs_kept(self, call):
        """Whether the script still holds arrays over the region for inputs; if so it is let go."""
        call.tensors.clear()
        region = self.regions.inputs
        if not call.in_memory or not region.is_held():
            return False
        region.close()
        self.regions.inputs = None
        return True

    def answer(self, tensors, inline):
        """The parts of the frame for these tensors; contents are in it or in shared memory."""
        size = 0
        for tensor in tensors:
            size += len(tensor.data)
        if size > wire.MOST_BYTES:
            raise script.values.BadValue(
                "the result has %d bytes; the most is %d" % (size, wire.MOST_BYTES)
            )
        if size <= wire.MOST_INLINE or inline:
            return 0, b"", (wire.heads(tensors), *[bytes(tensor.data) for tensor in tensors])
        step = wire.ALIGNMENT
        room = sum(-(-len(tensor.data) // step) * step for tensor in tensors)
        flags = wire.IN_MEMORY
        region = b""
        if self.regions.put(tensors, room):
            flags |= wire.NEW_REGION
            outputs = self.regions.outputs
            region = struct.pack("<IQ", outputs.descriptor, outputs.size)
        return flags, region, (wire.heads(tensors),)

    def failure(self, failure):
        """Status, message and traceback."""
        try:
            status = script.status_of(failure)
            message = script.message_of(failure, status)
        except Exception:  # an exception may fail to say what it is
            status, message = 500, type(failure).__name__
        return status, message, trace_of(failure)

    async def reply_to(self, chain_of_script, frame):
        """The frame that answers a call."""
        call = self.parse(frame)
        failed = None
        try:
            tensors = await chain_of_script.call(call)
            flags, region, parts = self.answer(tensors, call.inline)
            del tensors
        except FAILURES as e:
            failed = self.failure(e)
        kept = wire.INPUTS_KEPT if self.inputs_kept(call) else 0
        if failed is not None:
            return wire.error(*failed, flags=kept)
        return wire.frame(wire.RESULT, FLAGS[flags | kept], region, *parts)

    def other(self, kind, frame):
        """The frame that answers what is no call."""
        if kind == wire.PING:
            return wire.frame(wire.PONG)
        if kind == wire.MEMORY:
            try:
                region = self.regions.provide_inputs(wire.Reader(frame).take("<Q"))
            except (OSError, MemoryError, ValueError, AttributeError) as e:
                return wire.error(503, "no shared memory: %s" % e)
            return wire.frame(wire.REGION, struct.pack("<IQ", region.descriptor, region.size))
        raise ValueError("a frame of kind %d" % kind)

    def serve(self, chain_of_script):
        """Answers calls to a script without coroutines, on this thread."""
        receive, send = self.frames.receive, self.socket.sendall
        while True:
            frame = receive()
            if frame is None:
                return
            kind = wire.kind_of(frame)
            if kind == wire.CALL:
                send(chain.run(self.reply_to(chain_of_script, frame)))
            elif kind == wire.STREAM:
                self.stream(chain_of_script, frame)
            elif kind != wire.CANCEL:  # one that came too late means nothing
                send(self.other(kind, frame))

    def stream(self, chain_of_script, frame):
        """Sends responses as the script makes them, until they end or something comes in: the order to stop."""
        responses = chain_of_script.stream(self.parse(frame))
        try:
            try:
                while not self.is_spoken_to():
                    self.socket.sendall(self.response(chain.run(responses.__anext__())))
            finally:
                chain.run(responses.aclose())
            reply = wire.frame(wire.END)
        except StopAsyncIteration:
            reply = wire.frame(wire.END)
        except FAILURES as e:
            reply = wire.error(*self.failure(e))
        self.socket.sendall(reply)

    async def spoken_to(self, loop):
        if not self.frames.rest:
            await self.come_in(loop)

    def is_spoken_to(self):
        if self.frames.rest:
            return True
        try:
            self.socket.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT)
            return True
        except BlockingIOError:
            return False

    def response(self, tensors):
        """The frame for one of many responses; not in shared memory, which the next would overwrite."""
        _, _, parts = self.answer(tensors, inline=True)
        return wire.frame(wire.RESULT, b"\0", *parts)

    async def serve_async(self, chain_of_script, loop):
        """Answers calls on the event loop, where those of other connections go on meanwhile."""
        sock = self.socket
        sock.setblocking(False)
        loop.add_reader(sock, self.read, loop)
        while True:
            frame = await self.receive(loop)
            if frame is None:
                return
            kind = wire.kind_of(frame)
            if kind == wire.CALL:
                await loop.sock_sendall(sock, await self.reply_to(chain_of_script, frame))
            elif kind == wire.STREAM:
                responses = chain_of_script.stream(self.parse(frame))
                await self.send_all(responses, self.response, loop)
            elif kind == wire.GENERATE:
                await self.generate(chain_of_script.predictor.completions, loop, frame)
            elif kind != wire.CANCEL:  # one that came too late means nothing
                await loop.sock_sendall(sock, self.other(kind, frame))

    def read(self, loop):
        """Takes in what there is, for who waits for it."""
        try:
            data = self.socket.recv(wire.READ_BYTES)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if not self.frames.read(data):
            self.is_open = False
            loop.remove_reader(self.socket)
        if self.awaited is not None and not self.awaited.done():
            self.awaited.set_result(None)

    async def come_in(self, loop):
        """Waits until more was read, or the other end is gone."""
        if self.is_open:
            self.awaited = loop.create_future()
            await self.awaited

    async def receive(self, loop):
        """As that of the frames."""
        while True:
            frame = self.frames.take()
            if frame is not None or not self.is_open:
                return frame
            await self.come_in(loop)

    async def generate(self, generator, loop, frame):
        """Sends the parts of an answer in the form of OpenAI's API."""
        if generator is None:
            reply = wire.error(501, "the script does not generate")
            await loop.sock_sendall(self.socket, reply)
            return
        operation, headers, request = wire.generation(frame)
        parts = generator.parts(completions.OPERATIONS[operation], headers, request)
        await self.send_all(parts, part_frame, loop)

    async def send_all(self, parts, frame_of, loop):
        """Sends parts as they are made, until they end or something comes in: the order to stop."""
        incoming = asyncio.ensure_future(self.spoken_to(loop))
        try:
            try:
                while True:
                    step = asyncio.ensure_future(parts.__anext__())
                    await asyncio.wait({step, incoming}, return_when=asyncio.FIRST_COMPLETED)
                    if incoming.done():
                        step.cancel()
                        await asyncio.wait({step})
                        if not step.cancelled():
                            step.exception()
                        break
                    await loop.sock_sendall(self.socket, frame_of(step.result()))
            finally:
                await parts.aclose()
            reply = wire.frame(wire.END)
        except StopAsyncIteration:
            reply = wire.frame(wire.END)
        except FAILURES as e:
            reply = wire.error(*self.failure(e))
        incoming.cancel()
        await loop.sock_sendall(self.socket, reply)


def part_frame(part):
    whole, json = part
    return wire.frame(wire.PART, struct.pack("<B", int(whole)), json)


def trace_of(failure):
    """The traceback from the script's first line on; nothing for what this package found wrong."""
    trace = failure.__traceback__
    while trace is not None and trace.tb_frame.f_globals.get("__package__") == __package__:
        trace = trace.tb_next
    if trace is None and isinstance(failure, (script.BadScript, script.values.BadValue)):
        return ""
    try:
        text = "".join(traceback.format_exception(type(failure), failure, trace))
    except Exception:  # an exception may have no text
        text = type(failure).__name__
    return text if len(text) <= MOST_TRACE else "..." + text[-MOST_TRACE:]


def report(failure):
    """Writes a traceback to the server's log, without the frames of this package."""
    try:
        sys.stderr.write(trace_of(failure))
        sys.stderr.flush()
    except Exception:  # the script may have closed or replaced it
        pass


def reason_of(failure):
    """The last lines of a traceback on one line, for who wants to know why nothing serves."""
    if isinstance(failure, script.BadScript):
        return str(failure)
    trace = failure.__traceback__
    while trace is not None and (
        trace.tb_frame.f_globals.get("__package__") == __package__
        or "importlib" in trace.tb_frame.f_code.co_filename
    ):
        trace = trace.tb_next
    lines = "".join(traceback.format_exception(type(failure), failure, trace)).splitlines()
    told = [
        line.strip()
        for line in lines
        if set(line.strip()) - set("^~") and not line.startswith("Traceback ")
    ]
    return " | ".join(told[-TRACE_LINES:])


def die_with_server():
    """Has the kernel end this process when the server's thread that started it ends."""
    if sys.platform == "linux":
        try:
            ctypes.CDLL(None, use_errno=True).prctl(1, signal.SIGKILL)
        except (OSError, AttributeError):
            pass


def prefer_for_oom_killer():
    """If memory runs out, it shall be this process and not the server."""
    try:
        with open("/proc/self/oom_score_adj", "r+") as file:
            if int(file.read()) < 500:
                file.seek(0)
                file.write("500")
    except (OSError, ValueError):
        pass


def limit_memory(size):
    if size:
        import resource

        resource.setrlimit(resource.RLIMIT_DATA, (size, size))


def watch(lifeline):
    """Ends this process and what it started when the server is gone, whatever the script does."""

    def wait():
        try:
            while lifeline.recv(64):
                pass
        except OSError:
            pass
        try:
            os.killpg(0, signal.SIGKILL)
        finally:
            os._exit(1)

    threading.Thread(target=wait, name="millrace-lifeline", daemon=True).start()


def close_in_children(connections):
    """What forks must not hold the connections open."""
    sockets = [connection.socket for connection in connections]

    def close():
        for sock in sockets:
            sock.close()

    os.register_at_fork(after_in_child=close)


def load(options):
    kserve_shape.install()
    predictor = transformer = None
    if options["predictor"]:
        predictor = script.predictor(options["predictor"], options)
    if options["transformer"]:
        transformer = script.transformer(options["transformer"], options)
    return chain.Chain(predictor, transformer, options)


def facts(chain_of_script):
    numpy = sys.modules.get("numpy")
    part = chain_of_script.predictor or chain_of_script.transformer
    return {
        "pid": os.getpid(),
        "python": "%d.%d.%d" % sys.version_info[:3],
        "numpy": getattr(numpy, "__version__", ""),
        "class": type(part.owner).__name__,
        "async": "true" if chain_of_script.is_async else "false",
        "parameters": "true" if chain_of_script.uses_parameters else "false",
        "streams": "true" if chain_of_script.streams else "false",
        "generates": ",".join(operations_of(chain_of_script)),
    }


def operations_of(chain_of_script):
    part = chain_of_script.predictor
    return part.completions.operations if part is not None and part.completions is not None else ()


def packed_texts(found):
    parts = [struct.pack("<H", len(found))]
    for key, value in found.items():
        for text in (key.encode(), str(value).encode()):
            parts += [struct.pack("<I", len(text)), text]
    return b"".join(parts)


def main(path):
    try:
        os.setsid()
    except OSError:
        pass
    die_with_server()
    prefer_for_oom_killer()
    lifeline = Connection(path)
    options = wire.Reader(wire.receive(lifeline.socket)).texts()
    connections = [Connection(path) for _ in range(int(options["connections"]))]
    close_in_children([lifeline, *connections])
    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    try:
        limit_memory(int(options["memory-limit"]))
        chain_of_script = load(options)
        if operations_of(chain_of_script):
            loop.run_until_complete(chain_of_script.predictor.completions.prepare())
    except BaseException as e:
        report(e)
        text = reason_of(e).encode("utf-8", "replace")
        lifeline.socket.sendall(wire.frame(wire.FAILED, struct.pack("<I", len(text)), text))
        os._exit(1)
    gc.collect()
    gc.freeze()
    lifeline.socket.sendall(wire.frame(wire.READY, packed_texts(facts(chain_of_script))))
    watch(lifeline.socket)
    try:
        if chain_of_script.is_async:
            loop.run_until_complete(serve_all(connections, chain_of_script, loop))
        else:
            for connection in connections[1:]:
                threading.Thread(
                    target=serve_thread, args=(connection, chain_of_script), daemon=True
                ).start()
            connections[0].serve(chain_of_script)
    except OSError as e:
        report(e)
    os._exit(0)


def serve_thread(connection, chain_of_script):
    try:
        connection.serve(chain_of_script)
    except OSError as e:
        report(e)
    os._exit(0)


async def serve_all(connections, chain_of_script, loop):
    serving = [
        asyncio.ensure_future(connection.serve_async(chain_of_script, loop))
        for connection in connections
    ]
    await asyncio.wait(serving, return_when=asyncio.FIRST_COMPLETED)
    for task in serving:
        if task.done() and task.exception() is not None:
            report(task.exception())
