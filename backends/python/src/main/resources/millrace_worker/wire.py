"""Frames between the server and this process; see the Java package for the format."""

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


class Tensor:
    """A named array; `data` is anything with the buffer protocol, bytes of it for BYTES."""

    __slots__ = ("name", "datatype", "shape", "data")

    def __init__(self, name, datatype, shape, data):
        self.name = name
        self.datatype = datatype
        self.shape = shape
        self.data = data


def receive_exactly(sock, view):
    """Fills `view`; False if the other end is gone."""
    while len(view):
        count = sock.recv_into(view)
        if count == 0:
            return False
        view = view[count:]
    return True


def receive(sock):
    """The next frame as (kind, body); None if the other end is gone."""
    head = bytearray(5)
    if not receive_exactly(sock, memoryview(head)):
        return None
    length, kind = struct.unpack("<IB", head)
    body = bytearray(length - 1)
    if not receive_exactly(sock, memoryview(body)):
        return None
    return kind, body


def frame(kind, *parts):
    length = 1 + sum(len(part) for part in parts)
    return b"".join((struct.pack("<IB", length, kind), *parts))


class Reader:
    """Takes values from the start of a frame's body."""

    __slots__ = ("body", "at")

    def __init__(self, body):
        self.body = body
        self.at = 0

    def take(self, layout):
        value = struct.unpack_from(layout, self.body, self.at)
        self.at += struct.calcsize(layout)
        return value[0] if len(value) == 1 else value

    def text(self):
        length = self.take("<I")
        start = self.at
        self.at += length
        return str(memoryview(self.body)[start : self.at], "utf-8")

    def texts(self):
        return {self.text(): self.text() for _ in range(self.take("<H"))}

    def parameters(self):
        found = {}
        for _ in range(self.take("<H")):
            name = self.text()
            kind = self.take("<B")
            if kind == 0:
                found[name] = self.text()
            elif kind == 1:
                found[name] = self.take("<B") != 0
            elif kind == 2:
                found[name] = self.take("<q")
            else:
                found[name] = self.take("<d")
        return found


class Call:
    """One request to the script."""

    __slots__ = ("verb", "inline", "tensors", "parameters", "headers")

    def __init__(self, body, memory):
        reader = Reader(body)
        verb, flags = reader.take("<BB")
        self.verb = VERBS[verb]
        self.inline = flags & INLINE != 0
        heads = []
        for _ in range(reader.take("<H")):
            name = reader.text()
            if self.verb in ("classify", "regress"):  # which the server puts before the name
                name = name.rpartition(":")[2]
            number, rank = reader.take("<BB")
            shape = struct.unpack_from("<%dq" % rank, body, reader.at)
            reader.at += 8 * rank
            heads.append((name, number, shape, reader.take("<Q")))
        self.parameters, self.headers = {}, {}
        for name, value in reader.parameters().items():
            if name.startswith(HEADER):
                self.headers[name[len(HEADER) :]] = value
            else:
                self.parameters[name] = value
        self.tensors = []
        if flags & IN_MEMORY:
            contents, at, step = memory, 0, ALIGNMENT
        else:
            contents, at, step = memoryview(body).toreadonly(), reader.at, 1
        for name, number, shape, size in heads:
            self.tensors.append(
                Tensor(name, DATATYPES[number][0], shape, contents[at : at + size])
            )
            at += -(-size // step) * step


def heads(tensors):
    """What a result says of its tensors before their contents."""
    parts = [struct.pack("<H", len(tensors))]
    for tensor in tensors:
        name = tensor.name.encode("utf-8", "replace")
        shape = tensor.shape
        parts.append(struct.pack("<I", len(name)))
        parts.append(name)
        parts.append(
            struct.pack(
                "<BB%dqQ" % len(shape),
                NUMBERS[tensor.datatype],
                len(shape),
                *shape,
                len(tensor.data),
            )
        )
    return b"".join(parts)


def error(status, message, trace="", flags=0):
    parts = [struct.pack("<BH", flags, status)]
    for text in (message.encode("utf-8", "replace"), trace.encode("utf-8", "replace")):
        parts += [struct.pack("<I", len(text)), text]
    return frame(ERROR, *parts)


def generation(body):
    """What a frame asks to generate: the number of the operation, the headers, the request's JSON."""
    reader = Reader(body)
    operation = reader.take("<B")
    headers = reader.texts()
    return operation, headers, memoryview(body)[reader.at :]
