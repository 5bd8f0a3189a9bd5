"""The openai package as it is published, against a server in front of engines that imitate vLLM."""

import asyncio
import json
import os
import time
import unittest
import urllib.request

import openai

SERVED = os.environ["SERVED"]
ENGINES = [os.environ["ENGINE"], os.environ["OTHER_ENGINE"]]
PATIENCE = 20

TOOL = {
    "type": "function",
    "function": {
        "name": "look_up",
        "description": "Looks something up.",
        "parameters": {"type": "object", "properties": {"text": {"type": "string"}}},
    },
}


def ask_engine(path, body=None, engine=ENGINES[0]):
    data = None if body is None else body.encode()
    with urllib.request.urlopen(urllib.request.Request(engine + "/_scripted/" + path, data=data)) as answer:
        return json.load(answer)


def client(**options):
    return openai.OpenAI(
        base_url=options.pop("base_url", SERVED + "/v1"),
        api_key="none",
        max_retries=options.pop("max_retries", 0),
        **options,
    )


def user(text):
    return [{"role": "user", "content": text}]


def scripted(script):
    return {"scripted": script}


class OpenAiTest(unittest.TestCase):
    def setUp(self):
        for engine in ENGINES:
            ask_engine("forget", "", engine)
        self.client = client()

    def chat(self, text="how are you", script="", model="chat", **more):
        return self.client.chat.completions.create(
            model=model, messages=user(text), extra_body=scripted(script), **more
        )

    def stream(self, script="", text="how are you", **more):
        return self.chat(text, script, stream=True, **more)

    def streamed(self, chunks):
        return "".join(c.choices[0].delta.content or "" for c in chunks if c.choices)

    def awaitEnd(self, end, count=1):
        """Until the engine says that so many requests ended that way."""
        limit = time.monotonic() + PATIENCE
        while True:
            ends = [request["end"] for request in ask_engine("requests")]
            if ends.count(end) >= count:
                return
            self.assertLess(time.monotonic(), limit, ends)
            time.sleep(0.02)

    # ---- whole answers

    def test_models(self):
        names = [model.id for model in self.client.models.list()]
        self.assertLessEqual({"chat", "pair", "impatient", "sql"}, set(names))
        self.assertEqual(self.client.models.retrieve("chat").id, "chat")

    def test_chat(self):
        answer = self.chat()
        self.assertEqual(answer.choices[0].message.content, "how are you")
        self.assertEqual(answer.choices[0].finish_reason, "stop")
        self.assertEqual((answer.usage.prompt_tokens, answer.usage.completion_tokens), (3, 3))
        self.assertEqual(answer.model, "chat")

    def test_chat_with_choices_and_log_probabilities(self):
        answer = self.chat(n=2, logprobs=True, top_logprobs=1, max_completion_tokens=2)
        self.assertEqual([c.message.content for c in answer.choices], ["how are", "how are"])
        self.assertEqual(answer.choices[1].finish_reason, "length")
        self.assertEqual([t.token for t in answer.choices[0].logprobs.content], ["how", " are"])

    def test_chat_behind_the_prefix_of_kserve(self):
        with client(base_url=SERVED + "/openai/v1") as other:
            answer = other.chat.completions.create(model="chat", messages=user("hello"))
        self.assertEqual(answer.choices[0].message.content, "hello")

    def test_adapter(self):
        self.assertEqual(self.chat(model="sql").model, "sql")

    def test_unknown_fields_reach_the_engine(self):
        self.client.chat.completions.create(
            model="chat", messages=user("x"), extra_body={"top_k": 5, "guided_choice": ["a", "b"]}
        )
        body = json.loads(ask_engine("requests")[-1]["body"])
        self.assertEqual((body["top_k"], body["guided_choice"]), (5, ["a", "b"]))

    def test_completions(self):
        answer = self.client.completions.create(model="chat", prompt=["a b", "c"], n=2)
        self.assertEqual([c.text for c in answer.choices], ["a b", "a b", "c", "c"])

    def test_embeddings(self):
        as_base64 = self.client.embeddings.create(model="chat", input=["a", "b c"])
        as_floats = self.client.embeddings.create(model="chat", input=["a", "b c"], encoding_format="float")
        self.assertEqual(as_base64.usage.prompt_tokens, 3)
        for one, other in zip(as_base64.data, as_floats.data):
            self.assertEqual(len(one.embedding), 8)
            for a, b in zip(one.embedding, other.embedding):
                self.assertAlmostEqual(a, b, places=6)

    def test_tools(self):
        asked = self.chat("weather in Rome", tools=[TOOL])
        call = asked.choices[0].message.tool_calls[0]
        self.assertEqual(asked.choices[0].finish_reason, "tool_calls")
        self.assertEqual(json.loads(call.function.arguments), {"text": "weather in Rome"})
        answer = self.client.chat.completions.create(
            model="chat",
            tools=[TOOL],
            messages=[
                *user("weather in Rome"),
                asked.choices[0].message.model_dump(exclude_none=True),
                {"role": "tool", "tool_call_id": call.id, "content": "sunny"},
            ],
        )
        self.assertEqual(answer.choices[0].message.content, "sunny")

    # ---- streams

    def test_stream(self):
        chunks = list(self.stream("tokens=50"))
        self.assertEqual(len(self.streamed(chunks).split(" ")), 50)
        self.assertEqual(chunks[-1].choices[0].finish_reason, "stop")
        self.assertTrue(all(chunk.choices for chunk in chunks), "usage that nobody asked for")

    def test_stream_with_usage(self):
        chunks = list(self.stream(stream_options={"include_usage": True}))
        self.assertEqual(chunks[-1].choices, [])
        self.assertEqual(chunks[-1].usage.total_tokens, 6)
        self.assertEqual(self.streamed(chunks), "how are you")

    def test_stream_of_completions(self):
        chunks = self.client.completions.create(model="chat", prompt="a b c", stream=True)
        self.assertEqual("".join(c.choices[0].text for c in chunks), "a b c")

    def test_stream_of_tools(self):
        arguments, names = "", []
        for chunk in self.stream(text="Rome", tools=[TOOL]):
            for call in chunk.choices[0].delta.tool_calls or []:
                names.append(call.function.name)
                arguments += call.function.arguments or ""
        self.assertEqual(names[0], "look_up")
        self.assertEqual(json.loads(arguments), {"text": "Rome"})

    def test_streams_in_odd_packets(self):
        for script in ("newline=crlf", "fragment=half", "fragment=7", "comments=yes", "done=no", "delay=300ms"):
            with self.subTest(script):
                self.assertEqual(self.streamed(self.stream(script)), "how are you")

    def test_many_streams_at_once(self):
        async def run():
            async with openai.AsyncOpenAI(base_url=SERVED + "/v1", api_key="none", max_retries=0) as many:

                async def one(number):
                    chunks = await many.chat.completions.create(
                        model="pair",
                        messages=user("stream number %d" % number),
                        stream=True,
                        extra_body=scripted("tokens=30;gap=5ms"),
                    )
                    text = "".join([c.choices[0].delta.content or "" async for c in chunks if c.choices])
                    self.assertEqual(text.count("number %d" % number), 10)

                await asyncio.gather(*(one(number) for number in range(64)))

        asyncio.run(run())

    # ---- going away, and being late

    def test_stream_that_is_closed_ends_at_the_engine(self):
        chunks = self.stream("tokens=100000;gap=10ms")
        next(iter(chunks))
        chunks.close()
        self.awaitEnd("cancelled")

    def test_stream_that_is_read_to_its_end_is_no_cancellation(self):
        self.assertEqual(self.streamed(self.stream()), "how are you")
        self.awaitEnd("answered")

    def test_client_that_does_not_wait(self):
        for stream in (False, True):
            with self.subTest(stream=stream):
                ask_engine("forget", "")
                with self.assertRaises(openai.APITimeoutError):
                    self.chat(script="stall=request", stream=stream, timeout=0.5)
                self.awaitEnd("cancelled")

    def test_engine_that_says_nothing(self):
        for stream in (False, True):
            with self.subTest(stream=stream), self.assertRaises(openai.APIStatusError) as caught:
                self.chat(model="impatient", script="stall=headers", stream=stream, timeout=PATIENCE)
            self.assertEqual(caught.exception.status_code, 504)
        self.awaitEnd("cancelled", 2)

    def test_engine_that_stops_in_the_middle(self):
        with self.assertRaises(openai.APIError):
            list(self.chat(model="impatient", script="tokens=9;stall=3", stream=True, timeout=PATIENCE))
        self.awaitEnd("cancelled")

    # ---- faults

    def test_errors_of_every_shape(self):
        for shape in ("flat", "nested", "string", "kserve", "openai"):
            with self.subTest(shape), self.assertRaises(openai.BadRequestError) as caught:
                self.chat(script="status=400;error=%s;message=that is wrong" % shape)
            self.assertEqual(caught.exception.status_code, 400)
            self.assertIn("that is wrong", caught.exception.message)

    def test_unknown_model(self):
        with self.assertRaises(openai.NotFoundError) as caught:
            self.chat(model="nobody")
        self.assertIn("nobody", caught.exception.message)

    def test_bad_request(self):
        with self.assertRaises(openai.BadRequestError) as caught:
            self.client.post("/chat/completions", body={"model": "chat"}, cast_to=object)
        self.assertIn("messages", caught.exception.message)

    def test_engine_that_is_busy_is_asked_again_by_the_client(self):
        ask_engine("script", "status=429;header=Retry-After: 0;message=busy")
        answer = client(max_retries=1).chat.completions.create(model="chat", messages=user("again"))
        self.assertEqual(answer.choices[0].message.content, "again")
        self.assertEqual(len(ask_engine("requests")), 2)

    def test_connection_that_ends_without_an_answer_is_replaced(self):
        for script in ("close=reused", "reset=reused"):
            with self.subTest(script):
                self.chat()
                ask_engine("script", script)
                self.assertEqual(self.chat().choices[0].message.content, "how are you")

    def test_other_engine_answers_for_one_that_fails(self):
        for script in ("reset=request", "close=request", "status=503", "garbage=response"):
            ask_engine("always", script)
            for number in range(6):
                with self.subTest(script, number=number):
                    answer = self.client.chat.completions.create(model="pair", messages=user("hello"))
                    self.assertEqual(answer.choices[0].message.content, "hello")

    def test_stream_that_fails_in_the_middle(self):
        for script in ("error-event=2;message=broken", "close=2", "reset=2"):
            with self.subTest(script), self.assertRaises((openai.APIError)):
                list(self.stream(script))


if __name__ == "__main__":
    unittest.main()
