"""Stands in for the package kserve, where it is not installed, as far as model classes need it."""

import argparse
import enum
import functools
import importlib.util
import logging
import os
import sys
import types
import uuid

from . import completions, values, wire


class InferInput:
    """A named input of a V2 request."""

    def __init__(self, name, shape, datatype, data=None, parameters=None):
        self.name = name
        self.shape = list(shape)
        self.datatype = datatype
        self.parameters = parameters or {}
        self._raw = None
        self._data = data

    @property
    def data(self):
        if self._data is None and self._raw is not None:
            self._data = values.flat(self._raw)
        return self._data

    @data.setter
    def data(self, value):
        self._data, self._raw = value, None

    def as_numpy(self):
        if self._raw is not None:
            return values.to_array(self._raw)
        return as_numpy(self.datatype, self.shape, self._data)

    def set_data_from_numpy(self, tensor, binary_data=True):
        self.shape = list(tensor.shape)
        self.datatype = values.ARRAY_TYPES.get(tensor.dtype.name, "BYTES")
        self.data = tensor.flatten().tolist()

    @classmethod
    def of(cls, tensor):
        """The input that a tensor of this request is, over the same memory."""
        made = cls(tensor.name, tensor.shape, tensor.datatype)
        made._raw = tensor
        return made


class InferOutput(InferInput):
    """A named output of a V2 response."""


def as_numpy(datatype, shape, data):
    np = values.numpy()
    names = {known: name for name, known in values.ARRAY_TYPES.items()}
    return np.array(data, dtype=names.get(datatype, object)).reshape(shape)


class InferRequest:
    """A V2 request."""

    def __init__(
        self,
        model_name,
        infer_inputs,
        request_id=None,
        raw_inputs=None,
        from_grpc=False,
        parameters=None,
        request_outputs=None,
        model_version=None,
    ):
        self.id = request_id
        self.model_name = model_name
        self.model_version = model_version
        self.inputs = infer_inputs
        self.parameters = parameters or {}
        self.from_grpc = from_grpc
        self.request_outputs = request_outputs

    def get_input_by_name(self, name):
        return next((found for found in self.inputs if found.name == name), None)

    def as_dataframe(self):
        import pandas

        return pandas.DataFrame({found.name: list(found.as_numpy()) for found in self.inputs})


class InferResponse:
    """A V2 response."""

    def __init__(
        self,
        response_id,
        model_name,
        infer_outputs,
        model_version=None,
        raw_outputs=None,
        from_grpc=False,
        parameters=None,
        use_binary_outputs=False,
        requested_outputs=None,
    ):
        self.id = response_id
        self.model_name = model_name
        self.model_version = model_version
        self.outputs = infer_outputs
        self.parameters = parameters or {}

    def get_output_by_name(self, name):
        return next((found for found in self.outputs if found.name == name), None)


class Model:
    """What model classes extend."""

    def __init__(self, name, *args, **kwargs):
        self.name = name
        self.ready = False

    def load(self):
        self.ready = True
        return self.ready

    def start(self):
        """Nothing is to be started."""

    def stop(self):
        """Nothing is to be stopped."""


class PredictorConfig:
    """Where a predictor would be that is a server of its own."""

    def __init__(self, predictor_host=None, predictor_protocol="v1", *args, **kwargs):
        self.predictor_host = predictor_host
        self.predictor_protocol = predictor_protocol


def flags():
    """The flags that scripts take over into a parser of their own, with what they are without."""
    parser = argparse.ArgumentParser(add_help=False)
    for name, default in dict(
        http_port=8080,
        grpc_port=8081,
        workers=1,
        max_threads=4,
        max_asyncio_workers=None,
        enable_grpc=True,
        enable_docs_url=False,
        enable_latency_logging=True,
        configure_logging=False,
        log_config_file=None,
        access_log_format=None,
        model_name=os.environ.get("MODEL_NAME", "model"),
        predictor_host=None,
        protocol="v1",
        predictor_protocol="v1",
        predictor_use_ssl=False,
        predictor_request_timeout_seconds=600,
        predictor_request_retries=0,
        enable_predictor_health_check=False,
    ).items():
        parser.add_argument("--" + name, default=default)
    return parser


class ModelServer:
    """The server is there already."""

    def __init__(self, *args, **kwargs):
        pass

    def start(self, models):
        """Nothing is to be started."""


class InvalidInput(ValueError):
    status_code = 400

    def __init__(self, reason=""):
        super().__init__(reason)
        self.reason = reason


class InferenceError(RuntimeError):
    def __init__(self, reason="", status=None, debug_details=None):
        super().__init__(reason)
        self.reason = reason


class ModelMissingError(Exception):
    status_code = 404


class ModelNotFound(Exception):
    status_code = 404

    def __init__(self, model_name=None):
        super().__init__("Model with name %s does not exist." % model_name)


class ModelNotReady(RuntimeError):
    status_code = 503

    def __init__(self, model_name=None, detail=None):
        super().__init__("Model with name %s is not ready." % model_name)


def get_predict_input(payload, columns=None):
    if isinstance(payload, dict):
        return payload["inputs"] if "inputs" in payload else payload["instances"]
    if len(payload.inputs) == 1:
        return payload.inputs[0].as_numpy()
    return payload.as_dataframe()


def get_predict_response(payload, result, model_name):
    if isinstance(payload, dict):
        return {"predictions": values.listed(result)}
    tensor = values.to_tensor("output-0", result)
    output = InferOutput(tensor.name, tensor.shape, tensor.datatype)
    output._raw = tensor
    return InferResponse(payload.id, model_name, [output])


def module(name, **members):
    made = types.ModuleType(name)
    made.__dict__.update(members)
    sys.modules[name] = made
    return made


def install_openai(protocol):
    """What scripts for language models import to say what they take and give."""
    requests = dict(
        ChatPrompt=completions.ChatPrompt,
        CompletionRequest=completions.CompletionRequest,
        ChatCompletionRequest=completions.ChatCompletionRequest,
        EmbeddingRequest=completions.EmbeddingRequest,
    )
    answers = (
        "Completion",
        "CompletionChoice",
        "CompletionChunk",
        "ChatCompletion",
        "ChatCompletionChoice",
        "ChatCompletionChunk",
        "ChatCompletionMessage",
        "Embedding",
        "CompletionUsage",
        "UsageInfo",
        "Logprobs",
        "ErrorResponse",
    )
    made = {name: type(name, (completions.Answer,), {}) for name in answers}
    inputs = dict(
        CreateCompletionRequest=completions.CompletionRequest,
        CreateChatCompletionRequest=completions.ChatCompletionRequest,
        ChatCompletionTool=completions.Answer,
        ChatCompletionRequestMessage=completions.Answer,
        ChatCompletionMessageParam=completions.Answer,
        ChatCompletionTokenLogprob=completions.Answer,
        CreateCompletionResponse=made["Completion"],
        CreateChatCompletionResponse=made["ChatCompletion"],
    )
    protocol.rest = module("kserve.protocol.rest", __path__=[])
    openai = module("kserve.protocol.rest.openai", __path__=[], **requests)
    protocol.rest.openai = openai
    openai.types = module("kserve.protocol.rest.openai.types", __path__=[], **requests, **made, **inputs)
    openai.types.openapi = module("kserve.protocol.rest.openai.types.openapi", **made, **inputs)


class NoSecondServer:
    """Finds kserve's server as ever, but has it start nothing: scripts start it at their end."""

    def find_spec(self, name, path, target=None):
        if name != "kserve.model_server":
            return None
        sys.meta_path.remove(self)
        spec = importlib.util.find_spec(name)
        run = spec.loader.exec_module

        def exec_module(module):
            run(module)
            module.ModelServer.start = ModelServer.start
            module.parser.set_defaults(model_name=os.environ.get("MODEL_NAME", "model"))

        spec.loader.exec_module = exec_module
        return spec


def install():
    """Makes `import kserve` find this, unless the package is there."""
    try:
        if importlib.util.find_spec("kserve") is not None:
            sys.meta_path.insert(0, NoSecondServer())
            return
    except (ImportError, ValueError):
        pass
    messages = dict(
        InferRequest=InferRequest,
        InferInput=InferInput,
        InferResponse=InferResponse,
        InferOutput=InferOutput,
    )
    errors = dict(
        InvalidInput=InvalidInput,
        InferenceError=InferenceError,
        ModelMissingError=ModelMissingError,
        ModelNotFound=ModelNotFound,
        ModelNotReady=ModelNotReady,
    )
    logger = logging.getLogger("kserve")
    Protocol = enum.Enum("PredictorProtocol", {"REST_V1": "v1", "REST_V2": "v2", "GRPC_V2": "grpc-v2"})
    config = dict(PredictorConfig=PredictorConfig)
    top = module(
        "kserve", Model=Model, ModelServer=ModelServer, logger=logger, __path__=[], **config, **messages
    )
    top.model = module("kserve.model", Model=Model, PredictorProtocol=Protocol, **config)
    top.model_server = module("kserve.model_server", ModelServer=ModelServer, parser=flags())
    top.errors = module("kserve.errors", **errors)
    top.logging = module("kserve.logging", logger=logger, configure_logging=lambda *config: None)
    protocol = module("kserve.protocol", __path__=[])
    top.protocol = protocol
    protocol.infer_type = module("kserve.protocol.infer_type", **messages)
    install_openai(protocol)
    utils = module("kserve.utils", __path__=[])
    top.utils = utils
    utils.utils = module(
        "kserve.utils.utils",
        generate_uuid=lambda: str(uuid.uuid4()),
        get_predict_input=get_predict_input,
        get_predict_response=get_predict_response,
    )


def request_class():
    """InferRequest and InferInput of the package that the script sees."""
    package = sys.modules.get("kserve")
    if package is not None and package.InferRequest is not InferRequest:
        return package.InferRequest, with_elements(package.InferInput)
    return InferRequest, None


@functools.lru_cache(maxsize=None)
def with_elements(kind):
    """The package's class of inputs, with `data` also where it has but the bytes, as it does for JSON."""

    def data(self):
        if self._data is None and self._raw_data is not None:
            raw = memoryview(self._raw_data).cast("B")
            self._data = values.flat(wire.Tensor(self.name, self.datatype, self.shape, raw))
        return self._data

    return type(kind.__name__, (kind,), {"data": property(data, kind.data.fset)})


def infer_request(model_name, request_id, tensors, parameters):
    """The request that these tensors are, for classes of kserve."""
    Request, Input = request_class()
    inputs = []
    for tensor in tensors:
        if Input is None:
            inputs.append(InferInput.of(tensor))
        else:
            made = Input(tensor.name, list(tensor.shape), tensor.datatype)
            if tensor.datatype == "BYTES":
                made.data = values.elements(tensor)
            else:
                made._raw_data = bytes(tensor.data)
            inputs.append(made)
    return Request(
        model_name=model_name, infer_inputs=inputs, request_id=request_id, parameters=parameters
    )


def response_tensors(response):
    """The tensors of a response, of either package."""
    found = []
    for output in response.outputs:
        raw = getattr(output, "_raw", None) or getattr(output, "_raw_data", None)
        if isinstance(raw, wire.Tensor):
            found.append(wire.Tensor(output.name, raw.datatype, tuple(raw.shape), raw.data))
        elif isinstance(raw, (bytes, bytearray, memoryview)):
            found.append(
                wire.Tensor(output.name, output.datatype, tuple(output.shape), memoryview(raw).cast("B"))
            )
        else:
            data = output.data if isinstance(output.data, (list, tuple)) else output.data.tolist()
            flat = values.flatten(data, len(values.shape_of(list(data)) or (0,)))
            found.append(
                wire.Tensor(
                    output.name,
                    output.datatype,
                    tuple(output.shape),
                    values.pack(output.name, output.datatype, flat),
                )
            )
    return found
