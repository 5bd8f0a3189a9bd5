"""The openai package as it is published, against a server in front of llama.cpp with a model of random weights."""

import asyncio
import os
import threading
import time
import unittest

import openai

BASE = os.environ["SERVED"] + "/v1"
PATIENCE = 60
ENDLESS = 1_000_000


def cancelled():
    """How many streams the engine has seen cancelled."""
    with open(os.environ["REAL_LOG"], encoding="utf-8") as log:
        return log.read().splitlines().count("cancelled")


class RealEngineTest(unittest.TestCase):
    def setUp(self):
        self.client = openai.OpenAI(base_url=BASE, api_key="none", max_retries=0, timeout=PATIENCE)

    def tearDown(self):
        self.client.close()

    def chat(self, client=None, model="real", text="the mill turns", **more):
        messages = [{"role": "user", "content": text}]
        return (client or self.client).chat.completions.create(model=model, messages=messages, **more)

    def awaitCancelled(self, before):
        limit = time.monotonic() + PATIENCE
        while cancelled() <= before:
            self.assertLess(time.monotonic(), limit)
            time.sleep(0.02)

    def test_chat(self):
        answer = self.chat(max_tokens=16)
        self.assertTrue(answer.choices[0].message.content.strip())
        self.assertEqual(answer.choices[0].finish_reason, "length")
        self.assertEqual(answer.usage.completion_tokens, 16)
        self.assertEqual(answer.usage.total_tokens, answer.usage.prompt_tokens + 16)

    def test_stream_is_the_whole_answer(self):
        whole = self.chat(max_tokens=24).choices[0].message.content
        chunks = list(self.chat(max_tokens=24, stream=True))
        self.assertEqual("".join(c.choices[0].delta.content or "" for c in chunks), whole)
        self.assertEqual(chunks[-1].choices[0].finish_reason, "length")

    def test_stream_with_usage(self):
        chunks = list(self.chat(max_tokens=12, stream=True, stream_options={"include_usage": True}))
        self.assertEqual(chunks[-1].choices, [])
        self.assertEqual(chunks[-1].usage.completion_tokens, 12)

    def test_completions(self):
        whole = self.client.completions.create(model="real", prompt="slow water", max_tokens=20)
        chunks = self.client.completions.create(model="real", prompt="slow water", max_tokens=20, stream=True)
        self.assertTrue(whole.choices[0].text.strip())
        self.assertEqual("".join(c.choices[0].text for c in chunks), whole.choices[0].text)

    def test_embeddings(self):
        answer = self.client.embeddings.create(model="real", input=["old stone", "new bread", "old stone"])
        vectors = [one.embedding for one in answer.data]
        self.assertEqual(vectors[0], vectors[2])
        self.assertNotEqual(vectors[0], vectors[1])
        self.assertGreater(answer.usage.prompt_tokens, 0)

    def test_many_streams_at_once_have_the_same_text(self):
        async def one(many):
            chunks = await self.chat(many, max_tokens=30, stream=True)
            return "".join([c.choices[0].delta.content or "" async for c in chunks])

        async def run():
            async with openai.AsyncOpenAI(base_url=BASE, api_key="none", max_retries=0) as many:
                return await asyncio.gather(*(one(many) for _ in range(32)))

        self.assertEqual(len(set(asyncio.run(run()))), 1)

    def test_stream_that_is_closed_ends_at_the_engine(self):
        before = cancelled()
        chunks = self.chat(max_tokens=ENDLESS, stream=True)
        for _ in range(3):
            next(iter(chunks))
        chunks.close()
        self.awaitCancelled(before)

    def test_time_limit_of_the_server_ends_a_stream(self):
        before = cancelled()
        with self.assertRaises(openai.APIError) as caught:
            for _ in self.chat(model="real-late", max_tokens=ENDLESS, stream=True):
                pass
        self.assertIn("took longer than 500 ms", caught.exception.message)
        self.awaitCancelled(before)

    def test_client_that_does_not_wait(self):
        with self.assertRaises(openai.APITimeoutError):
            self.chat(self.client.with_options(timeout=0.001), max_tokens=1000)
        self.assertTrue(self.chat().choices[0].message.content)

    def test_bad_request(self):
        with self.assertRaises(openai.BadRequestError) as caught:
            self.client.post("/chat/completions", body={"model": "real", "messages": 7}, cast_to=object)
        self.assertIn("not a request", caught.exception.message)

    def test_other_engine_answers_for_one_that_is_not_there(self):
        for _ in range(6):
            self.assertTrue(self.chat(model="real-pair", max_tokens=4).choices[0].message.content)

    def test_client_asks_again_when_the_model_is_busy(self):
        running = self.chat(model="real-single", max_tokens=ENDLESS, stream=True)
        next(iter(running))
        with self.assertRaises(openai.RateLimitError):
            self.chat(model="real-single")
        threading.Timer(0.5, running.close).start()
        answer = self.chat(self.client.with_options(max_retries=20), model="real-single")
        self.assertTrue(answer.choices[0].message.content)


if __name__ == "__main__":
    unittest.main()
