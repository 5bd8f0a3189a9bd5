"""Finds the class in a script, makes an object of it, and calls it as the contract says."""

import importlib.util
import inspect
import json
import os
import sys
import types

from . import completions, kserve_shape, pickled, values

PREDICTOR_NAMES = ("Predictor", "Predict")
TRANSFORMER_NAMES = ("Transformer",)


class BadScript(Exception):
    """Why a script cannot be used, for people."""


def notebook_source(path):
    """The code cells of a notebook, without what is for the notebook only."""
    with open(path, encoding="utf-8") as file:
        try:
            cells = json.load(file)["cells"]
        except (ValueError, KeyError, TypeError) as e:
            raise BadScript("%s is no notebook: %s" % (path, e)) from None
    parts = []
    for cell in cells:
        if cell.get("cell_type") != "code":
            continue
        source = cell.get("source", "")
        text = source if isinstance(source, str) else "".join(source)
        if text.lstrip().startswith("%%"):
            continue
        lines = [
            line[: len(line) - len(line.lstrip())] + "pass"
            if line.lstrip().startswith(("%", "!"))
            else line
            for line in text.splitlines()
        ]
        parts.append("\n".join(lines))
    return "\n\n".join(parts) + "\n"


def load_module(path):
    """The script as a module; its folder is where it imports from first."""
    folder, file = os.path.split(os.path.abspath(path))
    name = "".join(c if c.isalnum() else "_" for c in os.path.splitext(file)[0])
    if folder not in sys.path:
        sys.path.insert(0, folder)
    if file.endswith(".ipynb"):
        module = types.ModuleType(name)
        module.__file__ = path
        sys.modules[name] = module
        exec(compile(notebook_source(path), path, "exec"), module.__dict__)
        return module
    spec = importlib.util.spec_from_file_location(name, path)
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


def is_kserve_model(kind):
    return inspect.isclass(kind) and any(
        base.__module__.split(".")[0] in ("kserve", "millrace_worker") and base.__name__ == "Model"
        for base in kind.__mro__[1:]
    )


def find_class(module, names, wanted):
    """The class that the script is about: of one of the names, else the only model of kserve."""
    for name in (wanted,) if wanted else names:
        kind = getattr(module, name, None)
        if inspect.isclass(kind):
            return kind
    if not wanted:
        models = [
            kind
            for kind in vars(module).values()
            if is_kserve_model(kind) and kind.__module__ == module.__name__
        ]
        models = [kind for kind in models if not any(kind in other.__mro__[1:] for other in models)]
        if len(models) == 1:
            return models[0]
        if models:
            raise BadScript(
                "%s has several classes that extend kserve.Model: %s; say which in 'class'"
                % (os.path.basename(module.__file__), ", ".join(kind.__name__ for kind in models))
            )
    classes = [
        name
        for name, kind in vars(module).items()
        if inspect.isclass(kind) and kind.__module__ == module.__name__
    ]
    raise BadScript(
        "%s has no class %s; it has %s"
        % (
            os.path.basename(module.__file__),
            wanted or " or ".join(names) + ", nor one that extends kserve.Model",
            ", ".join(classes) if classes else "none",
        )
    )


class Named:
    """What Hopsworks would inject, as far as the environment tells."""

    def __init__(self, **known):
        self.__dict__.update(known)

    def __repr__(self):
        return "%s(%s)" % (type(self).__name__, self.__dict__)


class Project(Named):
    """The project."""


class Deployment(Named):
    """The deployment."""


class RegisteredModel(Named):
    """The model in the registry."""


class AsyncLogger:
    """Takes what a script logs, and writes it to the server's log."""

    def log(self, *values_logged, **named):
        print("async_logger:", *values_logged, *("%s=%r" % item for item in named.items()))


def injected(options):
    """What `__init__` may ask for, by the name of the parameter."""
    get = os.environ.get
    project = Project(id=get("PROJECT_ID"), name=get("PROJECT_NAME"))
    model = RegisteredModel(
        name=get("MODEL_NAME"),
        version=int_or_text(get("MODEL_VERSION")),
        model_files_path=get("MODEL_FILES_PATH"),
    )
    deployment = Deployment(
        name=get("DEPLOYMENT_NAME"),
        model_name=get("MODEL_NAME"),
        model_version=model.version,
        artifact_files_path=get("ARTIFACT_FILES_PATH"),
    )
    return {
        "project": project,
        "deployment": deployment,
        "model": model,
        "async_logger": AsyncLogger(),
        "name": options["name"],
        "model_name": options["name"],
        "model_dir": get("MODEL_FILES_PATH"),
    }


def int_or_text(text):
    return int(text) if text and text.isdigit() else text


def instantiate(kind, options):
    known = injected(options)
    arguments = {}
    signature = inspect.signature(kind)
    for name, parameter in signature.parameters.items():
        if parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD):
            continue
        if name in known:
            arguments[name] = known[name]
        elif parameter.default is parameter.empty:
            raise BadScript(
                "%s.__init__ asks for '%s'; what can be injected is %s"
                % (kind.__name__, name, ", ".join(known))
            )
    positional = [
        arguments.pop(name)
        for name, parameter in signature.parameters.items()
        if parameter.kind is parameter.POSITIONAL_ONLY and name in arguments
    ]
    made = kind(*positional, **arguments)
    # Classes of kserve load in `__init__` or leave it to who starts the server.
    if is_kserve_model(kind) and not getattr(made, "ready", False):
        made.load()
    return made


class Method:
    """A method of the script's object, with what it asks for beside its first argument."""

    def __init__(self, owner, name):
        self.function = getattr(owner, name)
        self.is_async = inspect.iscoroutinefunction(self.function) or inspect.isasyncgenfunction(
            self.function
        )
        self.behind, self.named = asked_for(self.function, is_kserve_model(type(owner)))
        self.does_nothing = is_inherited_from_kserve(self.function)

    @property
    def uses_request(self):
        """Whether it gets headers or parameters of the request."""
        return bool(self.behind or self.named)

    def __call__(self, payload, call):
        if not self.behind and not self.named:
            return self.function(payload)
        behind = [given(what, call) for what in self.behind]
        if not self.named:
            return self.function(payload, *behind)
        return self.function(payload, *behind, **{what: given(what, call) for what in self.named})


def is_inherited_from_kserve(function):
    """Whether a step is the one of kserve's own class that only hands on what it gets."""
    code = getattr(function, "__code__", None)
    module = getattr(function, "__module__", None) or ""
    return code is not None and module.split(".")[0] == "kserve" and not code.co_names


def asked_for(function, is_kserve):
    """What is given to a method behind its first argument, in order, and by name."""
    try:
        parameters = list(inspect.signature(function).parameters.values())
    except (TypeError, ValueError):
        return [], []
    kinds = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    taken = [parameter for parameter in parameters if parameter.kind in kinds]
    required = [parameter for parameter in taken if parameter.default is parameter.empty]
    behind = []
    if len(taken) > 1 and taken[1].name != "parameters":
        if taken[1].name == "headers" or len(required) > 1:
            behind = ["headers"]
            if is_kserve and len(taken) > 2:
                behind.append("response_headers")
    named = [
        parameter.name
        for parameter in parameters
        if parameter.name in ("headers", "parameters")
        and parameter not in taken[: 1 + len(behind)]
        and parameter.kind in (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
    ]
    return behind, named


def given(what, call):
    if what == "headers":
        return call.headers
    return call.parameters if what == "parameters" else {}


def method(owner, name):
    return Method(owner, name) if callable(getattr(owner, name, None)) else None


class Part:
    """One object of a script: a predictor or a transformer."""

    def __init__(self, path, names, needs, wanted, options):
        module = load_module(path)
        self.owner = instantiate(find_class(module, names, wanted), options)
        self.is_kserve = is_kserve_model(type(self.owner))
        self.methods = {
            name: method(self.owner, name)
            for name in ("predict", "classify", "regress", "preprocess", "postprocess")
        }
        self.completions = None
        if "predict" in needs and completions.is_generator(self.owner):
            self.completions = completions.Completions(self.owner, options["name"])
        elif not any(self.methods[name] for name in needs):
            raise BadScript(
                "class %s of %s has no method %s"
                % (type(self.owner).__name__, os.path.basename(path), " or ".join(needs))
            )
        if "predict" in needs:
            for name in ("preprocess", "postprocess"):
                if self.methods[name] is not None and self.methods[name].does_nothing:
                    self.methods[name] = None

    @classmethod
    def of_object(cls, owner):
        part = cls.__new__(cls)
        part.owner = owner
        part.is_kserve = False
        part.completions = None
        part.methods = {name: method(owner, name) for name in ("predict", "preprocess", "postprocess")}
        return part

    @property
    def is_async(self):
        return self.completions is not None or any(found is not None and found.is_async for found in self.methods.values())


def predictor(path, options):
    if path.endswith((".joblib", ".pkl", ".pickle")):
        return Part.of_object(pickled.DefaultPredictor(path))
    return Part(path, PREDICTOR_NAMES, ("predict", "classify", "regress"), options["class"], options)


def transformer(path, options):
    return Part(
        path, TRANSFORMER_NAMES, ("preprocess", "postprocess"), options["transformer-class"], options
    )


def status_of(failure):
    """The HTTP status that an exception asks for; 500 if it asks for none."""
    if isinstance(failure, values.BadValue):
        return failure.status_code
    for name in ("status_code", "http_status", "status", "code"):
        status = getattr(failure, name, None)
        if isinstance(status, int) and 400 <= status <= 599 and not is_upstream(failure):
            return int(status)
    kind = type(failure)
    if kind.__name__ == "InvalidInput" and kind.__module__.startswith("kserve"):
        return 400
    return 500


def is_upstream(failure):
    """Whether the status is what somebody else answered to the script."""
    return type(failure).__module__ == "urllib.error"


def message_of(failure, status=500):
    for name in ("detail", "reason", "description"):
        text = getattr(failure, name, None)
        if isinstance(text, str) and text:
            return text
    text = str(failure)
    if text and (status != 500 or isinstance(failure, values.BadValue)):
        return text
    kind = type(failure).__name__
    return "%s: %s" % (kind, text) if text else kind
