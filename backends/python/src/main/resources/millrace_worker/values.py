"""Between tensors and the values that scripts take and give."""

import array
import base64
import dataclasses
import datetime
import enum
import json
import struct
import sys
import uuid

from . import wire
from .wire import Tensor

# Members under which rows come and go as JSON texts, one a row.
ROWS = ("instances", "inputs")
PREDICTIONS = "predictions"

# An output that is the whole body of the answer, as JSON text.
RESPONSE = "response"


class BadValue(Exception):
    """A value that cannot be what it has to be; the message says what would do."""

    def __init__(self, message, status=500):
        super().__init__(message)
        self.status_code = status


# ---- tensors to values

scan = json.JSONDecoder().scan_once


def elements(tensor):
    """The elements of a BYTES tensor."""
    data, at, found = tensor.data, 0, []
    while at < len(data):
        (length,) = wire.LENGTH.unpack_from(data, at)
        at += 4
        found.append(bytes(data[at : at + length]))
        at += length
    return found


def is_texts(tensors):
    """Whether these are rows that only the script knows: JSON texts under a reserved name."""
    if len(tensors) != 1:
        return False
    tensor = tensors[0]
    return tensor.name in ROWS and tensor.datatype == "BYTES" and len(tensor.shape) <= 1


def parse_texts(tensor):
    """The values of JSON texts: a list, or of a tensor without dimensions the one value."""
    found = []
    try:
        for text in elements(tensor):
            found.append(parse(text))
    except ValueError as e:
        raise BadValue(
            "element %d of '%s' is no JSON text: %s" % (len(found), tensor.name, e), 400
        ) from None
    return found if tensor.shape else found[0]


def parse(text):
    """As json.loads, which is asked only about what is more than a value in UTF-8."""
    try:
        string = text.decode()
        value, end = scan(string, 0)
        if end == len(string):
            return value
    except (StopIteration, ValueError):
        pass
    return json.loads(text)


def text_or_bytes(element):
    try:
        return element.decode()
    except UnicodeDecodeError:
        return element


def bfloat_bytes(data):
    """BF16 as FP32: the same bits before two bytes of zeros."""
    wide = bytearray(2 * len(data))
    wide[2::4] = data[0::2]
    wide[3::4] = data[1::2]
    return wide


def nested(tensor):
    """The tensor as nested lists; as a value if it has no dimensions."""
    shape, datatype, data = tensor.shape, tensor.datatype, tensor.data
    if datatype == "BYTES":
        return fold([text_or_bytes(element) for element in elements(tensor)], shape)
    if 0 in shape:
        return fold([], shape)
    code = wire.FORMATS[datatype]
    if datatype == "BF16":
        data, code = memoryview(bfloat_bytes(data)), "f"
    if datatype == "FP16" and sys.version_info < (3, 12):
        count = len(data) // 2
        return fold(list(struct.unpack("<%de" % count, data)), shape)
    if not shape:
        return data.cast(code)[0]
    return data.cast(code, shape=shape).tolist()


def flat(tensor):
    """The elements in one list."""
    return flatten(nested(tensor), len(tensor.shape))


def fold(flat, shape):
    """A flat list as nested ones."""
    if not shape:
        return flat[0]
    rest = iter(flat)

    def part(level):
        if level == len(shape) - 1:
            return [next(rest) for _ in range(shape[level])]
        return [part(level + 1) for _ in range(shape[level])]

    return part(0)


def numpy():
    try:
        import numpy as np
    except ImportError:
        raise BadValue(
            "'inputs-as: tensors' needs NumPy, which this Python does not have: pip install numpy"
        ) from None
    return np


def to_array(tensor):
    """The tensor as a NumPy array, over the same memory and read-only unless it is of texts."""
    np = numpy()
    if tensor.datatype == "BYTES":
        found = np.empty(len(elements(tensor)), dtype=object)
        found[:] = elements(tensor)
        return found.reshape(tensor.shape)
    if tensor.datatype == "BF16":
        return np.frombuffer(bfloat_bytes(tensor.data), dtype="<f4").reshape(tensor.shape)
    dtype = next(name for name, known in ARRAY_TYPES.items() if known == tensor.datatype)
    return np.frombuffer(tensor.data, dtype=dtype).reshape(tensor.shape)


def to_rows(tensors):
    """Tensors as the rows that they are: values of the only one, or a dict for each row."""
    if len(tensors) == 1:
        value = nested(tensors[0])
        return value if tensors[0].shape else [value]
    columns = {tensor.name: nested(tensor) for tensor in tensors}
    counts = {tensor.shape[0] if tensor.shape else -1 for tensor in tensors}
    if len(counts) == 1 and -1 not in counts:
        names = list(columns)
        return [dict(zip(names, row)) for row in zip(*columns.values())]
    return columns


# ---- values to tensors


def plain(value):
    """What JSON has for a value that it does not know."""
    if type(value).__name__ in ("NAType", "NaTType"):  # what pandas has for what is missing
        return None
    if is_array(value):
        return of_microseconds(value).tolist()
    for name in AS_LISTS:
        if hasattr(value, name):
            return getattr(value, name)()
    if hasattr(value, "to_dict") and hasattr(value, "columns"):
        return value.to_dict("records")
    if hasattr(value, "item"):
        return value.item()
    if isinstance(value, (datetime.datetime, datetime.date, datetime.time)):
        return value.isoformat()
    if isinstance(value, (bytes, bytearray, memoryview)):
        return {"b64": base64.b64encode(value).decode()}
    if isinstance(value, (set, frozenset)):
        return list(value)
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}
    if isinstance(value, enum.Enum):
        return value.value
    if isinstance(value, uuid.UUID):
        return str(value)
    raise TypeError(
        "a value of type %s is no JSON; give numbers, texts, lists, dicts or NumPy arrays"
        % type(value).__name__
    )


# What arrays and tables of NumPy, PyTorch, Polars and Arrow call the method that makes lists of them.
AS_LISTS = ("to_dicts", "to_pylist", "tolist", "to_list")


def of_microseconds(value):
    """NumPy's dates as dates that Python has: of nanoseconds there would be bare numbers."""
    if getattr(value.dtype, "name", "") == "datetime64[ns]":
        return value.astype("datetime64[us]")
    return value


KEYS = (str, int, float, type(None))


def with_plain_keys(value):
    """The value with keys that JSON knows, in place of numbers of NumPy, dates and the like."""
    if isinstance(value, dict):
        return {plain_key(key): with_plain_keys(element) for key, element in value.items()}
    if isinstance(value, (list, tuple)):
        return [with_plain_keys(element) for element in value]
    return value


def plain_key(key):
    if isinstance(key, KEYS):
        return key
    try:
        found = plain(key)
    except TypeError:
        return key
    return found if isinstance(found, KEYS) else key


def encoder(ensure_ascii):
    return json.JSONEncoder(
        default=plain, separators=(",", ":"), ensure_ascii=ensure_ascii
    ).encode


as_text = encoder(ensure_ascii=False)
as_ascii = encoder(ensure_ascii=True)


def encoded(value):
    try:
        return as_text(value).encode()
    except UnicodeEncodeError:  # half of a surrogate pair, which UTF-8 has not
        return as_ascii(value).encode()


def dump(value, what="the result", *numbers):
    try:
        try:
            return encoded(value)
        except TypeError:  # perhaps for a key, about which the encoder does not ask
            return encoded(with_plain_keys(value))
    except (TypeError, ValueError, RecursionError) as e:
        raise BadValue("%s cannot be written as JSON: %s" % (what % numbers, e)) from None


def packed(texts):
    parts = []
    for text in texts:
        parts += (wire.LENGTH.pack(len(text)), text)
    return b"".join(parts)


def text_tensor(name, value):
    """A value as JSON texts: one for each element of a list, else a tensor of no dimensions."""
    value = listed(value)
    if isinstance(value, list):
        rows = []
        for row in value:
            rows.append(dump(row, "row %d of the result", len(rows)))
        return Tensor(name, "BYTES", (len(rows),), packed(rows))
    return Tensor(name, "BYTES", (), packed([dump(value)]))


def listed(value):
    """Arrays, tables, tuples and generators' results as lists."""
    if type(value) is list:
        return value
    if isinstance(value, tuple):
        return list(value)
    if hasattr(value, "columns") or any(hasattr(value, name) for name in AS_LISTS):
        return plain(value)
    return value


def is_array(value):
    return hasattr(value, "dtype") and hasattr(value, "shape") and hasattr(value, "tolist")


ARRAY_TYPES = {
    "bool": "BOOL",
    "uint8": "UINT8",
    "uint16": "UINT16",
    "uint32": "UINT32",
    "uint64": "UINT64",
    "int8": "INT8",
    "int16": "INT16",
    "int32": "INT32",
    "int64": "INT64",
    "float16": "FP16",
    "float32": "FP32",
    "float64": "FP64",
}


def to_tensor(name, value, spec=None):
    """A tensor of a value, of the datatype that `spec` declares, else of the nearest one."""
    datatype = spec[0] if spec else None
    if hasattr(value, "detach") and hasattr(value, "numpy"):  # a PyTorch tensor
        value = value.detach().cpu()
        try:
            value = value.numpy()
        except TypeError:  # NumPy has no bfloat16
            value = value.tolist()
    if is_numeric(value):
        np = numpy()
        own = ARRAY_TYPES[value.dtype.name]
        if datatype in (None, own) or datatype not in ("BYTES", "BF16"):
            if datatype is not None and datatype != own:
                wanted = [key for key, known in ARRAY_TYPES.items() if known == datatype][0]
                value = value.astype(wanted)
            value = np.asarray(value, dtype=value.dtype.newbyteorder("<"), order="C")
            data = memoryview(value.reshape(-1).view("u1")) if value.size else b""
            return checked(Tensor(name, datatype or own, tuple(value.shape), data), spec)
    value = listed(value)
    shape = shape_of(value)
    if shape is None:
        return untyped(name, value, spec)
    flat = flatten(value, len(shape))
    if datatype is None:
        datatype = datatype_of(flat)
    if datatype is None:
        return untyped(name, value, spec)
    return checked(Tensor(name, datatype, shape, pack(name, datatype, flat)), spec)


def is_numeric(value):
    """Whether it is an array of a datatype that tensors have, with no element masked."""
    return (
        is_array(value)
        and getattr(value.dtype, "name", "") in ARRAY_TYPES
        and not numpy().ma.is_masked(value)
    )


def untyped(name, value, spec):
    """What is no rectangle of one kind of values: JSON texts."""
    if spec:
        raise BadValue(
            "output '%s' is declared %s%s, but the script gave %s"
            % (name, spec[0], list(spec[1]), shown(value))
        )
    tensor = text_tensor(name, value)
    return tensor if tensor.shape else Tensor(name, "BYTES", (1,), tensor.data)


def checked(tensor, spec):
    if spec and not fits(tensor.shape, spec[1]):
        raise BadValue(
            "output '%s' is declared %s%s, but the script gave %s%s"
            % (tensor.name, spec[0], list(spec[1]), tensor.datatype, list(tensor.shape))
        )
    return tensor


def fits(shape, declared):
    return len(shape) == len(declared) and all(
        d in (-1, s) for s, d in zip(shape, declared)
    )


def shown(value):
    text = repr(value)
    return text if len(text) <= 80 else text[:80] + "..."


SCALARS = (float, int, str)


def shape_of(value):
    """Sizes of nested lists, and of arrays in them; None if they are no rectangle."""
    if isinstance(value, SCALARS):
        return ()
    if not isinstance(value, (list, tuple)):
        if isinstance(value, dict):
            return None
        return tuple(value.shape) if is_array(value) else ()
    if not value:
        return (0,)
    inner = shape_of(value[0])
    if inner is None:
        return None
    for element in value[1:]:
        if shape_of(element) != inner:
            return None
    return (len(value), *inner)


def flatten(value, depth):
    if depth == 0:
        return [value]
    for _ in range(depth - 1):
        value = [element for part in value for element in part]
    return value


def datatype_of(flat):
    """The datatype that holds all these values; None if there is none."""
    kinds = {type(unboxed(element)) for element in flat}
    if not kinds:
        return "FP64"
    if kinds == {bool}:
        return "BOOL"
    if kinds == {int}:
        return "INT64" if all(-(1 << 63) <= element < 1 << 63 for element in flat) else None
    if kinds <= {int, float}:
        return "FP64"
    if kinds <= {str, bytes}:
        return "BYTES"
    return None


def unboxed(value):
    """A NumPy scalar as the plain value that it stands for."""
    if hasattr(value, "item") and hasattr(value, "dtype"):
        return of_microseconds(value).item()
    return value


def pack(name, datatype, flat):
    flat = [unboxed(element) for element in flat]
    try:
        if datatype == "BYTES":
            return packed(
                element if isinstance(element, bytes) else
                (element if isinstance(element, str) else json.dumps(element)).encode()
                for element in flat
            )
        if datatype == "BF16":
            wide = struct.pack("<%df" % len(flat), *flat)
            return b"".join(wide[i + 2 : i + 4] for i in range(0, len(wide), 4))
        code = wire.FORMATS[datatype]
        if datatype in ("FP32", "FP64"):
            return memoryview(array.array(code, flat)).cast("B")
        if datatype != "BOOL":
            flat = [whole(element) for element in flat]
        return struct.pack("<%d%s" % (len(flat), code), *flat)
    except (struct.error, TypeError, ValueError, OverflowError) as e:
        raise BadValue("'%s' cannot be written as %s: %s" % (name, datatype, e)) from None


def whole(value):
    if isinstance(value, float) and value.is_integer():
        return int(value)
    return value
