"""Frames between the server and this process; see the Java package for the format."""

import functools
import struct

CONFIGURE, CALL, PING, MEMORY, GENERATE, CANCEL, STREAM = 1, 2, 3, 4, 5, 6, 7
READY, FAILED, RESULT, ERROR, PONG, REGION, PART, END = 65, 66, 67, 68, 69, 70, 71, 72

# Values of the byte in which the server says what to call.
VERBS = ("predict", "classify", "regress", "preprocess", "postprocess")

# Datatypes by their number on the wire, with the bytes of an element and the struct format.
DATATYPES = (
    ("BOOL", 1, "?"),
    ("UINT8", 1, "B"),
    ("UINT16", 2, "H"),
    ("UINT32", 4, "I"),
    ("UINT64", 8, "Q"),
    ("INT8", 1, "b"),
    ("INT16", 2, "h"),
    ("INT32", 4, "i"),
    ("INT64", 8, "q"),
    ("FP16", 2, "e"),
    ("BF16", 2, "H"),
    ("FP32", 4, "f"),
    ("FP64", 8, "d"),
    ("BYTES", 0, ""),
)
NUMBERS = {name: number for number, (name, _, _) in enumerate(DATATYPES)}
FORMATS = {name: code for name, _, code in DATATYPES}
SIZES = {name: size for name, size, _ in DATATYPES}

# Length and kind.
HEAD = struct.Struct("<IB")
HEAD_BYTES = HEAD.size

# What is read at once: any call whose contents are not in shared memory, as a rule.
READ_BYTES = 72 << 10

# Contents in shared memory start at multiples of this.
ALIGNMENT = 64

# Results with more bytes than this go through shared memory.
MOST_INLINE = 64 << 10

# What the names of parameters that are headers start with.
HEADER = "header."

MOST_BYTES = (2 << 30) - (1 << 20)

# Flags of calls: contents are in shared memory; those of the result must not be.
# Flags of results: contents are in shared memory; the region for outputs is another one than before; the
# script holds on to the region for inputs, which therefore is not used again.
IN_MEMORY, INLINE, NEW_REGION, INPUTS_KEPT = 1, 2, 2, 4


COUNT = struct.Struct("<H")
LENGTH = struct.Struct("<I")


class Tensor:
    """A named array; `data` is anything with the buffer protocol, bytes of it for BYTES."""

    __slots__ = ("name", "datatype", "shape", "data")

    def __init__(self, name, datatype, shape, data):
        self.name = name
        self.datatype = datatype
        self.shape = shape
        self.data = data


class Frames:
    """The frames that come in on a socket: one read brings all of a small one, and of what follows it."""

    def __init__(self, sock):
        self.sock = sock
        self.rest = b""

    def receive(self):
        """The next frame, head and all; waits for it. None if the other end is gone."""
        while True:
            found = self.take()
            if found is not None:
                return found
            if not self.read(self.sock.recv(READ_BYTES)):
                return None

    def read(self, data):
        """Takes in what was read; False if the other end is gone."""
        rest = self.rest
        if not rest:
            self.rest = data
        elif isinstance(rest, bytearray):
            rest += data
        else:
            self.rest = bytearray(rest) + data
        return bool(data)

    def take(self):
        """A frame that is there; None if there is none, or only a part of it."""
        rest = self.rest
        have = len(rest)
        if have < HEAD_BYTES:
            return None
        size = int.from_bytes(rest[:4], "little") + 4
        if have == size:
            self.rest = b""
            return rest
        if have < size:
            return None
        self.rest = bytes(rest[size:])
        return rest[:size]


def receive(sock):
    """The next frame; None if the other end is gone. What comes after it must not be there yet."""
    return Frames(sock).receive()


def kind_of(frame_received):
    return frame_received[HEAD_BYTES - 1]


def frame(kind, *parts):
    length = 1
    for part in parts:
        length += len(part)
    return b"".join((HEAD.pack(length, kind), *parts))


class Reader:
    """Takes values from the body of a frame."""

    __slots__ = ("body", "at")

    def __init__(self, frame_received):
        self.body = frame_received
        self.at = HEAD_BYTES

    def take(self, layout):
        value = struct.unpack_from(layout, self.body, self.at)
        self.at += struct.calcsize(layout)
        return value[0] if len(value) == 1 else value

    def text(self):
        start = self.at + 4
        end = self.at = start + LENGTH.unpack_from(self.body, self.at)[0]
        return self.body[start:end].decode()

    def texts(self):
        return {self.text(): self.text() for _ in range(self.take("<H"))}

    def parameters(self):
        """Parameters, and those of them that are headers by their own names."""
        found, headers = {}, {}
        body = self.body
        for _ in range(self.take("<H")):
            start = self.at + 4
            end = start + LENGTH.unpack_from(body, self.at)[0]
            name = body[start:end].decode()
            kind = body[end]
            self.at = end + 1
            if kind == 0:
                value = self.text()
            elif kind == 1:
                value = self.take("<B") != 0
            elif kind == 2:
                value = self.take("<q")
            else:
                value = self.take("<d")
            if name.startswith(HEADER + ":"):  # what the server notes for itself
                continue
            if name.startswith(HEADER):
                headers[name[len(HEADER) :]] = value
            else:
                found[name] = value
        return found, headers


class Call:
    """One request to the script."""

    __slots__ = ("verb", "inline", "in_memory", "tensors", "parameters", "headers")

    def __init__(self, body, region):
        verb, flags, count = CALL_HEAD.unpack_from(body, HEAD_BYTES)
        self.verb = VERBS[verb]
        self.inline = flags & INLINE != 0
        self.in_memory = flags & IN_MEMORY != 0
        reader = Reader(body)
        reader.at += CALL_HEAD.size
        heads = []
        for _ in range(count):
            name = reader.text()
            if verb in (1, 2):  # classify and regress, which the server puts before the name
                name = name.rpartition(":")[2]
            at = reader.at
            rank = body[at + 1]
            _, _, *shape, size = layout(rank).unpack_from(body, at)
            reader.at = at + layout(rank).size
            heads.append((name, DATATYPES[body[at]][0], tuple(shape), size))
        self.parameters, self.headers = reader.parameters()
        self.tensors = []
        if self.in_memory:
            contents, at, step = region.contents(), 0, ALIGNMENT
        else:
            contents, at, step = memoryview(body).toreadonly(), reader.at, 1
        for name, datatype, shape, size in heads:
            self.tensors.append(Tensor(name, datatype, shape, contents[at : at + size]))
            at += -(-size // step) * step


CALL_HEAD = struct.Struct("<BBH")


@functools.lru_cache(maxsize=None)
def layout(rank):
    """What the head of a tensor says behind its name: datatype, rank, sizes, length of the contents."""
    return struct.Struct("<BB%dqQ" % rank)


def heads(tensors):
    """What a result says of its tensors before their contents."""
    parts = [COUNT.pack(len(tensors))]
    for tensor in tensors:
        name = tensor.name.encode("utf-8", "replace")
        shape = tensor.shape
        rank = len(shape)
        parts += (
            LENGTH.pack(len(name)),
            name,
            layout(rank).pack(NUMBERS[tensor.datatype], rank, *shape, len(tensor.data)),
        )
    return b"".join(parts)


def error(status, message, trace="", flags=0):
    parts = [struct.pack("<BH", flags, status)]
    for text in (message.encode("utf-8", "replace"), trace.encode("utf-8", "replace")):
        parts += [struct.pack("<I", len(text)), text]
    return frame(ERROR, *parts)


def generation(frame_received):
    """What a frame asks to generate: the number of the operation, the headers, the request's JSON."""
    reader = Reader(frame_received)
    operation = reader.take("<B")
    headers = reader.texts()
    return operation, headers, memoryview(frame_received)[reader.at :]
