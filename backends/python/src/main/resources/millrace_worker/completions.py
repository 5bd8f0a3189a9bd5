"""Scripts that are language models: requests in the form of OpenAI's API, answered whole or in chunks.

The contract is KServe's for its vLLM server: a class with an engine, `self.vllm_engine`, that may have methods
`apply_chat_template(messages, chat_template, tools)` and `create_completion(request)`. Chat is mapped onto
completions.
"""

import inspect
import json
import time
import uuid

from .values import BadValue

CHAT, COMPLETION, EMBEDDINGS = "chat", "completion", "embeddings"

# By their number on the wire.
OPERATIONS = (CHAT, COMPLETION, EMBEDDINGS)

# Fields of a chat that a completion does not have.
CHAT_ONLY = (
    "messages",
    "tools",
    "tool_choice",
    "parallel_tool_calls",
    "chat_template",
    "chat_template_kwargs",
    "add_generation_prompt",
    "max_completion_tokens",
    "top_logprobs",
)

# What vLLM's SamplingParams takes of a request.
SAMPLING = (
    "n",
    "best_of",
    "presence_penalty",
    "frequency_penalty",
    "repetition_penalty",
    "temperature",
    "top_p",
    "top_k",
    "min_p",
    "seed",
    "stop",
    "stop_token_ids",
    "bad_words",
    "ignore_eos",
    "max_tokens",
    "min_tokens",
    "logprobs",
    "prompt_logprobs",
    "skip_special_tokens",
    "spaces_between_special_tokens",
    "truncate_prompt_tokens",
    "include_stop_str_in_output",
)

USUAL_MAX_TOKENS = 16


class Request:
    """A request of a client's: its fields are attributes, and those it does not have are None."""

    def __init__(self, fields=None, request_id=None, context=None, **more):
        self.__dict__.update(fields or {}, **more)
        self.request_id = self.__dict__.get("request_id") or request_id
        self.context = context

    def __getattr__(self, name):
        if name.startswith("__"):
            raise AttributeError(name)
        return None

    def __getitem__(self, name):
        return self.__dict__[name]

    def get(self, name, otherwise=None):
        return self.__dict__.get(name, otherwise)

    @property
    def params(self):
        """The same: earlier versions of KServe have the client's fields one level down."""
        return self

    def model_dump(self, **_):
        return {
            name: value
            for name, value in self.__dict__.items()
            if name not in ("request_id", "context")
        }

    dict = model_dump


class CompletionRequest(Request):
    """What `create_completion` gets."""


class ChatCompletionRequest(Request):
    """What `create_chat_completion` gets, where a script has it."""


class EmbeddingRequest(Request):
    """What `create_embedding` gets."""


class ChatPrompt:
    """What `apply_chat_template` gives: a prompt, and who answers."""

    def __init__(self, prompt, response_role="assistant"):
        self.prompt = prompt
        self.response_role = response_role


class Answer:
    """A completion, or a part of one, made by its fields: `Completion(id=..., choices=[...])`."""

    def __init__(self, **fields):
        self.__dict__.update(fields)


class SamplingParams:
    """Stands in for vLLM's where that is not installed."""

    def __init__(self, **fields):
        self.__dict__.update(fields)


def is_generator(owner):
    return (
        getattr(owner, "vllm_engine", None) is not None
        or callable(getattr(owner, "create_completion", None))
        or callable(getattr(owner, "create_chat_completion", None))
    )


def plain(value):
    """A value that JSON can have: dictionaries for objects, whatever made them."""
    if value is None or isinstance(value, (str, int, float, bool)):
        return value
    if isinstance(value, dict):
        return {str(key): plain(element) for key, element in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(element) for element in value]
    if callable(getattr(value, "model_dump", None)):
        return plain(value.model_dump(mode="json"))
    if callable(getattr(value, "dict", None)):
        return plain(value.dict())
    if callable(getattr(value, "tolist", None)):
        return plain(value.tolist())
    if hasattr(value, "__dict__"):
        return plain(vars(value))
    raise BadValue("an answer has a %s, which is nothing that JSON has" % type(value).__name__)


def packed(value):
    try:
        return json.dumps(plain(value), separators=(",", ":"), ensure_ascii=False, allow_nan=False).encode()
    except ValueError as e:
        raise BadValue("the answer is no JSON: %s" % e) from None


async def settled(value):
    return await value if inspect.isawaitable(value) else value


class closing:
    """Closes what is iterated over when that is left early, so that what made it stops at once."""

    def __init__(self, values):
        self.values = values

    async def __aenter__(self):
        return self.values

    async def __aexit__(self, *_):
        close = getattr(self.values, "aclose", None)
        if close is not None:
            await close()


async def each(values):
    """The elements of what can be iterated, with or without waiting."""
    if hasattr(values, "__aiter__"):
        async with closing(values):
            async for value in values:
                yield value
    else:
        for value in values:
            yield value


def is_stream(value):
    return hasattr(value, "__aiter__") or (
        hasattr(value, "__next__") and not isinstance(value, (str, bytes, dict))
    )


class Completions:
    """Answers the requests for a script's object."""

    def __init__(self, owner, model):
        self.owner = owner
        self.model = model

    @property
    def operations(self):
        found = [CHAT]
        if self.can("create_completion") or self.engine is not None:
            found.append(COMPLETION)
        if self.can("create_embedding"):
            found.append(EMBEDDINGS)
        return found

    @property
    def engine(self):
        return getattr(self.owner, "vllm_engine", None)

    def can(self, name):
        return callable(getattr(self.owner, name, None))

    async def prepare(self):
        """Gives the object a tokenizer, if it has none and its engine does."""
        if getattr(self.owner, "tokenizer", None) is None and callable(
            getattr(self.engine, "get_tokenizer", None)
        ):
            self.owner.tokenizer = await settled(self.engine.get_tokenizer())

    async def parts(self, operation, headers, body):
        """The answer's parts: each whether it is the whole answer, and its JSON."""
        try:
            fields = json.loads(bytes(body))
        except ValueError as e:
            raise BadValue("the request is no JSON: %s" % e, 400) from None
        if not isinstance(fields, dict):
            raise BadValue("the request must be a JSON object", 400)
        request_id = headers.get("x-request-id") or uuid.uuid4().hex
        context = {"headers": headers}
        if operation == EMBEDDINGS:
            answer = self.owner.create_embedding(EmbeddingRequest(fields, request_id, context))
        elif operation == CHAT and self.can("create_chat_completion"):
            answer = self.owner.create_chat_completion(
                ChatCompletionRequest(fields, request_id, context)
            )
        elif operation == CHAT:
            answer = self.chat(fields, request_id, context)
        else:
            answer = self.completion(CompletionRequest(fields, request_id, context))
        answer = await settled(answer)
        if not is_stream(answer):
            yield True, packed(answer)
            return
        async with closing(each(answer)) as chunks:
            async for chunk in chunks:
                yield False, packed(chunk)

    def completion(self, request):
        if self.can("create_completion"):
            return self.owner.create_completion(request)
        if request.prompt is None:
            raise BadValue("the request has no 'prompt'", 400)
        return self.generate(request)

    # ---- chat, by way of completions

    async def chat(self, fields, request_id, context):
        messages = fields.get("messages")
        if not isinstance(messages, list) or not messages:
            raise BadValue("the request must have 'messages', a list that is not empty", 400)
        if fields.get("n") not in (None, 1):
            raise BadValue("n != 1 is not supported", 400)
        prompt = await self.prompt(messages, fields)
        asked = {name: value for name, value in fields.items() if name not in CHAT_ONLY}
        asked["prompt"] = prompt.prompt
        asked["max_tokens"] = fields.get("max_completion_tokens", fields.get("max_tokens"))
        if fields.get("logprobs"):
            asked["logprobs"] = fields.get("top_logprobs") or 1
        else:
            asked.pop("logprobs", None)
        answer = await settled(self.completion(CompletionRequest(asked, request_id, context)))
        if is_stream(answer):
            return self.chat_chunks(answer, prompt.response_role)
        return chat_of(plain(answer), prompt.response_role)

    async def prompt(self, messages, fields):
        template, tools = fields.get("chat_template"), fields.get("tools")
        if self.can("apply_chat_template"):
            made = self.owner.apply_chat_template
            count = len(inspect.signature(made).parameters)
            found = await settled(made(*(messages, template, tools)[:count]))
        else:
            tokenizer = getattr(self.owner, "tokenizer", None)
            if not callable(getattr(tokenizer, "apply_chat_template", None)):
                raise BadValue(
                    "the model has no chat template: its script has no apply_chat_template,"
                    " and its engine no tokenizer with one",
                    400,
                )
            found = tokenizer.apply_chat_template(
                conversation=messages,
                chat_template=template,
                tools=tools,
                add_generation_prompt=fields.get("add_generation_prompt", True),
                tokenize=False,
                **(fields.get("chat_template_kwargs") or {})
            )
        if isinstance(found, str):
            return ChatPrompt(found)
        if isinstance(found, dict):
            return ChatPrompt(found["prompt"], found.get("response_role", "assistant"))
        return found

    async def chat_chunks(self, completions, role):
        begun = set()
        async with closing(each(completions)) as chunks:
            async for completion in chunks:
                yield chat_chunk(plain(completion), role, begun)

    # ---- completions, by the engine

    async def generate(self, request):
        prompts = prompts_of(request.prompt)
        if request.stream:
            return self.chunks(request, prompts)
        choices, prompt_tokens, tokens = [], 0, 0
        for number, prompt in enumerate(prompts):
            final = None
            async with closing(self.outputs(request, prompt, number)) as steps:
                async for final in steps:
                    pass
            if final is None:
                raise BadValue("the engine gave nothing")
            prompt_tokens += len(final.prompt_token_ids or ())
            for output in final.outputs:
                tokens += len(output.token_ids)
                echoed = prompt if request.echo and isinstance(prompt, str) else ""
                choices.append(choice_of(len(choices), echoed + output.text, output))
        return dict(self.head(request), choices=choices, usage=usage_of(prompt_tokens, tokens))

    async def chunks(self, request, prompts):
        head = self.head(request)
        options = request.stream_options or {}
        prompt_tokens = tokens = 0
        for number, prompt in enumerate(prompts):
            told, counted, offset = {}, {}, number * (request.n or 1)
            prompted = 0
            async with closing(self.outputs(request, prompt, number)) as steps:
                async for step in steps:
                    prompted = len(step.prompt_token_ids or ())
                    for output in step.outputs:
                        index = output.index
                        text = output.text[len(told.get(index, "")) :]
                        if request.echo and isinstance(prompt, str) and index not in told:
                            text = prompt + text
                        told[index] = output.text
                        counted[index] = len(output.token_ids)
                        if text or output.finish_reason:
                            yield dict(head, choices=[choice_of(offset + index, text, output)])
            prompt_tokens += prompted
            tokens += sum(counted.values())
        if options.get("include_usage"):
            yield dict(head, choices=[], usage=usage_of(prompt_tokens, tokens))

    def head(self, request):
        return {
            "id": "cmpl-%s" % request.request_id,
            "object": "text_completion",
            "created": int(time.time()),
            "model": request.model or self.model,
        }

    async def outputs(self, request, prompt, number):
        """What the engine gives for a prompt, step by step; ended with this."""
        request_id = "cmpl-%s-%d" % (request.request_id, number)
        asked = prompt if isinstance(prompt, str) else {"prompt_token_ids": prompt}
        steps = self.engine.generate(asked, sampling(request), request_id)
        finished = False
        try:
            async with closing(each(await settled(steps))) as found:
                async for step in found:
                    yield step
            finished = True
        finally:
            if not finished and callable(getattr(self.engine, "abort", None)):
                await settled(self.engine.abort(request_id))


def prompts_of(prompt):
    """Texts and lists of tokens."""
    if isinstance(prompt, str):
        return [prompt]
    if isinstance(prompt, list) and prompt:
        if all(isinstance(token, int) for token in prompt):
            return [prompt]
        if all(isinstance(element, (str, list)) for element in prompt):
            return prompt
    raise BadValue("'prompt' must be a text, a list of tokens, or a list of such", 400)


def sampling(request):
    try:
        from vllm import SamplingParams as Params
    except ImportError:
        Params = SamplingParams
    given = {name: request.get(name) for name in SAMPLING if request.get(name) is not None}
    if "max_tokens" not in given:
        given["max_tokens"] = None if "max_tokens" in vars(request) else USUAL_MAX_TOKENS
    try:
        return Params(**given)
    except (TypeError, ValueError) as e:
        raise BadValue(str(e), 400) from None


def choice_of(index, text, output):
    return {
        "index": index,
        "text": text,
        "logprobs": None,
        "finish_reason": output.finish_reason,
        "stop_reason": getattr(output, "stop_reason", None),
    }


def usage_of(prompt_tokens, tokens):
    return {
        "prompt_tokens": prompt_tokens,
        "total_tokens": prompt_tokens + tokens,
        "completion_tokens": tokens,
    }


def chat_id(text):
    text = text or uuid.uuid4().hex
    return "chatcmpl-" + (text[len("cmpl-") :] if text.startswith("cmpl-") else text)


def chat_chunk(chunk, role, begun):
    """A part of a completion, as a chat has it; choices that are not among `begun` get a role."""
    for choice in chunk.get("choices", []):
        index = choice.get("index", 0)
        text = choice.pop("text", "")
        choice["delta"] = {"content": text} if index in begun else {"role": role, "content": text}
        choice["logprobs"] = chat_logprobs(choice.get("logprobs"))
        begun.add(index)
    chunk["id"] = chat_id(chunk.get("id"))
    chunk["object"] = "chat.completion.chunk"
    return chunk


def chat_logprobs(logprobs):
    """The log probabilities of a completion, as a chat has them."""
    if not isinstance(logprobs, dict) or not logprobs.get("tokens"):
        return None
    found = logprobs.get("token_logprobs") or []
    tops = logprobs.get("top_logprobs") or []
    content = []
    for number, token in enumerate(logprobs["tokens"]):
        top = tops[number] if number < len(tops) and tops[number] else {}
        content.append(
            {
                "token": token,
                "logprob": found[number] if number < len(found) else None,
                "bytes": list(token.encode()),
                "top_logprobs": [
                    {"token": other, "logprob": value, "bytes": list(other.encode())}
                    for other, value in top.items()
                ],
            }
        )
    return {"content": content}


def chat_of(completion, role):
    choices = []
    for choice in completion.get("choices", []):
        made = {
            "index": choice.get("index", 0),
            "message": {"role": role, "content": choice.get("text", "")},
            "logprobs": chat_logprobs(choice.get("logprobs")),
            "finish_reason": choice.get("finish_reason"),
        }
        if "stop_reason" in choice:
            made["stop_reason"] = choice["stop_reason"]
        choices.append(made)
    return {
        "id": chat_id(completion.get("id")),
        "object": "chat.completion",
        "created": completion.get("created") or int(time.time()),
        "model": completion.get("model"),
        "choices": choices,
        "usage": completion.get("usage"),
        "system_fingerprint": completion.get("system_fingerprint"),
    }
