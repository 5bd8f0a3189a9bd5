"""What happens to one call: tensors in, the script's methods, tensors out."""

import inspect

from . import kserve_shape, values
from .values import BadValue, PREDICTIONS, RESPONSE
from .wire import Tensor

# Results that are what they are.
PLAIN = {list, dict, tuple, str, int, float, bool, type(None)}


async def settled(value):
    """What came of a call: awaited if it is to be, a list of what it yields."""
    if type(value) in PLAIN:
        return value
    if inspect.isawaitable(value):
        value = await value
    if inspect.isasyncgen(value):
        return [element async for element in value]
    return list(value) if inspect.isgenerator(value) else value


def run(coroutine):
    """Runs a coroutine that has nothing to wait for."""
    try:
        coroutine.send(None)
    except StopIteration as e:
        return e.value
    coroutine.close()
    raise RuntimeError("a method that was not declared async has to be awaited")


class Chain:
    """The script's side of a model: a predictor, a transformer, or both in one process."""

    def __init__(self, predictor, transformer, options):
        self.predictor = predictor
        self.transformer = transformer
        self.raw = options["envelope"] == "raw"
        self.inputs_as = options["inputs-as"]
        self.model = options["name"]
        self.inner = specs(options["inner-inputs"])
        self.outputs = specs(options["outputs"])
        last = transformer if transformer is not None and transformer.methods["postprocess"] else predictor
        self.gives_body = last is not None and last.is_kserve
        self.is_bare = (
            predictor is not None
            and transformer is None
            and not (
                predictor.is_kserve
                and (predictor.methods["preprocess"] or predictor.methods["postprocess"])
            )
        )

    @property
    def is_async(self):
        return any(part is not None and part.is_async for part in (self.predictor, self.transformer))

    @property
    def uses_parameters(self):
        """Whether a method asks for headers, or for a request of V2, which has parameters."""
        parts = [part for part in (self.predictor, self.transformer) if part is not None]
        return (
            self.inputs_as == "infer-request"
            or any(part.is_kserve for part in parts)
            or any(found.uses_request for part in parts for found in part.methods.values() if found)
        )

    @property
    def streams(self):
        """Whether `predict` is written as a generator."""
        found = self.predictor.methods.get("predict") if self.predictor is not None else None
        return found is not None and (
            inspect.isgeneratorfunction(found.function)
            or inspect.isasyncgenfunction(found.function)
        )

    async def call(self, call):
        """The tensors that answer a call."""
        if call.verb == "preprocess":
            return await self.only_preprocess(call)
        if call.verb == "postprocess":
            return await self.only_postprocess(call)
        texts = values.is_texts(call.tensors)
        if self.is_bare:
            result = self.method(call)(self.payload(call, texts, self.predictor), call)
            if type(result) not in PLAIN:
                result = await settled(result)
            return self.encode(result, texts)
        result = await settled(await self.begin(call, texts))
        return await self.finish(result, call, texts)

    def method(self, call):
        found = self.predictor.methods.get(call.verb)
        if found is None:
            raise BadValue("the script has no method %s" % call.verb, 501)
        return found

    async def stream(self, call):
        """The tensors of one response after the other: for each that the script yields, as it does."""
        texts = values.is_texts(call.tensors)
        result = await self.begin(call, texts)
        if inspect.isawaitable(result):
            result = await result
        if inspect.isasyncgen(result):
            try:
                async for element in result:
                    yield await self.finish(lone(element), call, texts)
            finally:
                await result.aclose()
        elif inspect.isgenerator(result):
            try:
                for element in result:
                    yield await self.finish(lone(element), call, texts)
            finally:
                result.close()
        else:
            yield await self.finish(result, call, texts)

    async def begin(self, call, texts):
        """Prepares the inputs, and calls the method that is asked for; what it returned."""
        found = self.method(call)
        payload = self.payload(call, texts, self.predictor)
        if self.transformer is not None:
            body = self.body(call, texts, self.transformer, payload)
            payload = await self.apply(self.transformer, "preprocess", body, call)
            if not self.predictor.is_kserve:
                payload = rows_in(payload, "preprocess")
            elif isinstance(payload, list):
                payload = {"instances": payload}
        if self.predictor.is_kserve:
            payload = await self.apply(self.predictor, "preprocess", payload, call)
        return found(payload, call)

    async def finish(self, result, call, texts):
        """The tensors of what the method gave, once it went through what stands behind it."""
        if self.predictor.is_kserve:
            result = await self.apply(self.predictor, "postprocess", result, call)
        if self.transformer is not None and self.transformer.methods["postprocess"]:
            given = body_of(result) if self.raw else unwrapped(result)
            result = await self.apply(self.transformer, "postprocess", given, call)
            if self.raw:
                return self.encode_body(result, texts)
        return self.encode(result, texts)

    async def apply(self, part, name, payload, call):
        found = part.methods[name]
        return payload if found is None else await settled(found(payload, call))

    # ---- what methods get

    def payload(self, call, texts, part):
        """What `predict` gets: rows, or what else it asks for."""
        if part.is_kserve:
            return self.body(call, texts, part, None)
        if texts:
            rows = values.parse_texts(call.tensors[0])
            if self.inputs_as == "tensors":
                return {call.tensors[0].name: values.numpy().asarray(rows)}
            return rows
        if self.inputs_as == "tensors":
            return {tensor.name: values.to_array(tensor) for tensor in call.tensors}
        if self.inputs_as == "infer-request":
            return kserve_shape.infer_request(self.model, "", call.tensors, call.parameters)
        return values.to_rows(call.tensors)

    def body(self, call, texts, part, rows):
        """What `preprocess` gets: the request's body, or the request of V2 for kserve's classes."""
        if texts:
            name = call.tensors[0].name
            body = {name: rows if rows is not None else values.parse_texts(call.tensors[0])}
            for key, value in call.parameters.items():
                body.setdefault(key, value)
            return body
        if part.is_kserve:
            return kserve_shape.infer_request(self.model, "", call.tensors, call.parameters)
        return {"instances": rows if rows is not None else values.to_rows(call.tensors)}

    # ---- a transformer on its own

    async def only_preprocess(self, call):
        texts = values.is_texts(call.tensors)
        body = self.body(call, texts, self.transformer, None)
        result = await self.apply(self.transformer, "preprocess", body, call)
        if is_response(result) or hasattr(result, "inputs") and not isinstance(result, dict):
            return kserve_shape.response_tensors(Outputs(result.inputs))
        return columns_for(self.inner, result)

    async def only_postprocess(self, call):
        tensors = call.tensors
        if len(tensors) == 1 and tensors[0].datatype == "BYTES" and tensors[0].name == RESPONSE:
            value = values.parse_texts(Tensor("", "BYTES", (), tensors[0].data))
        elif is_predictions(tensors):
            value = values.parse_texts(tensors[0])
        else:
            value = values.to_rows(tensors)
        given = body_of(value) if self.raw else unwrapped(value)
        if self.transformer.is_kserve:
            given = body_of(value)
        result = await self.apply(self.transformer, "postprocess", given, call)
        if self.transformer.methods["postprocess"] is None:
            return list(tensors)
        if self.raw:
            return self.encode_body(result, True)
        return self.encode(result, True)

    # ---- results

    def encode(self, result, texts):
        if is_response(result):
            return kserve_shape.response_tensors(result)
        if isinstance(result, dict) and is_v2_outputs(result.get("outputs")):
            return [from_v2(output) for output in result["outputs"]]
        if texts and self.gives_body and isinstance(result, dict) and PREDICTIONS not in result:
            return self.encode_body(result, texts)
        if isinstance(result, dict) and PREDICTIONS in result:
            if texts and len(result) > 1:
                return self.encode_body(result, texts)
            result = result[PREDICTIONS]
        if texts:
            return [values.text_tensor(PREDICTIONS, result)]
        return self.tensors(result)

    def encode_body(self, result, texts):
        """A dict that is the whole body of the answer."""
        if isinstance(result, dict) and set(result) == {PREDICTIONS}:
            return self.encode(result, texts)
        if not isinstance(result, dict):
            return self.encode(result, texts)
        data = values.packed([values.dump(result)])
        return [Tensor(RESPONSE, "BYTES", () if texts else (1,), data)]

    def tensors(self, result):
        """A result as the tensors that are declared, else as what it looks like."""
        declared = self.outputs
        if len(declared) == 1:
            name, spec = next(iter(declared.items()))
            value = result[name] if isinstance(result, dict) and set(result) == {name} else result
            return [values.to_tensor(name, value, spec)]
        if declared:
            return [
                values.to_tensor(name, value, declared[name])
                for name, value in by_name(result, list(declared), "the result").items()
            ]
        if isinstance(result, dict) and result and (
            self.inputs_as != "rows" or all(values.is_array(value) for value in result.values())
        ):
            return [values.to_tensor(str(name), value) for name, value in result.items()]
        return [values.to_tensor(PREDICTIONS, result)]


class Outputs:
    def __init__(self, outputs):
        self.outputs = outputs


def specs(text):
    """Declared tensors by name, from lines of name, datatype and sizes."""
    found = {}
    for line in text.splitlines():
        name, datatype, sizes = line.split("\t")
        found[name] = (datatype, tuple(int(size) for size in sizes.split(",") if size))
    return found


def rows_in(value, what):
    """The rows in what `preprocess` gave."""
    if isinstance(value, dict):
        for name in ("inputs", "instances"):
            if name in value:
                return value[name]
        raise BadValue(
            "%s must return a dict with 'instances' or 'inputs', or a list; it returned a dict with %s"
            % (what, sorted(map(str, value)) or "nothing")
        )
    if value is None:
        raise BadValue("%s returned nothing; it must return what the predictor shall get" % what)
    return values.listed(value)


def body_of(result):
    if isinstance(result, dict) and (PREDICTIONS in result or "outputs" in result):
        return result
    return result if is_response(result) else {PREDICTIONS: result}


def unwrapped(result):
    if isinstance(result, dict) and PREDICTIONS in result:
        return result[PREDICTIONS]
    return result


def is_response(value):
    return hasattr(value, "outputs") and hasattr(value, "model_name")


def lone(element):
    """What a generator yields as a result of one row; what says of itself what it is stays as it is."""
    if is_response(element) or values.is_array(element) or hasattr(element, "detach"):
        return element
    if isinstance(element, dict) and element:
        if PREDICTIONS in element or is_v2_outputs(element.get("outputs")):
            return element
        if all(values.is_array(value) for value in element.values()):
            return element
    return [element]


def is_v2_outputs(outputs):
    return (
        isinstance(outputs, list)
        and bool(outputs)
        and all(
            isinstance(output, dict) and {"name", "shape", "datatype", "data"} <= set(output)
            for output in outputs
        )
    )


def from_v2(output):
    shape = tuple(output["shape"])
    data = values.listed(output["data"])
    flat = values.flatten(data, len(values.shape_of(data) or (0,)))
    return Tensor(
        output["name"],
        output["datatype"],
        shape,
        values.pack(output["name"], output["datatype"], flat),
    )


def is_predictions(tensors):
    return (
        len(tensors) == 1
        and tensors[0].name == PREDICTIONS
        and tensors[0].datatype == "BYTES"
        and len(tensors[0].shape) <= 1
    )


def by_name(value, names, what):
    """The values for these names: members of a dict, of each row, or the elements in order."""
    value = value if isinstance(value, dict) else values.listed(value)
    if isinstance(value, dict):
        missing = [name for name in names if name not in value]
        if missing:
            raise BadValue("%s lacks %s; it has %s" % (what, missing, sorted(map(str, value))))
        return {name: value[name] for name in names}
    if isinstance(value, list) and value and all(isinstance(row, dict) for row in value):
        for number, row in enumerate(value):
            missing = [name for name in names if name not in row]
            if missing:
                raise BadValue("row %d of %s lacks %s" % (number, what, missing))
        return {name: [row[name] for row in value] for name in names}
    if isinstance(value, list) and len(value) == len(names):
        return dict(zip(names, value))
    raise BadValue(
        "%s must be a dict, or a list of dicts, with %s; got %s" % (what, names, values.shown(value))
    )


def columns_for(inner, result):
    """What `preprocess` gave, as the tensors that the model behind it declares."""
    value = rows_in(result, "preprocess")
    if not inner:
        return [values.text_tensor("instances", value)]
    if len(inner) == 1:
        name, spec = next(iter(inner.items()))
        if isinstance(value, dict):
            value = by_name(value, [name], "what preprocess gave")[name]
        elif isinstance(value, list) and value and all(isinstance(row, dict) for row in value):
            value = by_name(value, [name], "what preprocess gave")[name]
        return [values.to_tensor(name, value, spec)]
    given = by_name(value, list(inner), "what preprocess gave")
    return [values.to_tensor(name, given[name], inner[name]) for name in inner]
