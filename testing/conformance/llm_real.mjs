// The openai package for Node as it is published, against a server in front of llama.cpp with a model of random weights.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import OpenAI from "openai";

const client = new OpenAI({ baseURL: process.env.SERVED + "/v1", apiKey: "none", maxRetries: 0 });
const messages = [{ role: "user", content: "the mill turns" }];
const chat = (more, options) => client.chat.completions.create({ model: "real", messages, ...more }, options);
const endless = 1_000_000;

const cancelled = () =>
  readFileSync(process.env.REAL_LOG, "utf8").split("\n").filter((line) => line === "cancelled").length;

async function awaitCancelled(before) {
  const limit = Date.now() + 60000;
  while (cancelled() <= before) {
    assert.ok(Date.now() < limit, "never cancelled");
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

test("chat, whole and streamed, with usage if it is asked for", async () => {
  const whole = await chat({ max_tokens: 16 });
  assert.equal(whole.usage.completion_tokens, 16);
  let text = "";
  for await (const chunk of await chat({ max_tokens: 16, stream: true })) {
    assert.equal(chunk.choices.length, 1);
    text += chunk.choices[0].delta.content ?? "";
  }
  assert.equal(text, whole.choices[0].message.content);
  const usages = [];
  for await (const chunk of await chat({ max_tokens: 16, stream: true, stream_options: { include_usage: true } }))
    if (chunk.usage) usages.push(chunk.usage.completion_tokens);
  assert.deepEqual(usages, [16]);
});

test("completions and embeddings", async () => {
  const completion = await client.completions.create({ model: "real", prompt: "slow water", max_tokens: 8 });
  assert.ok(completion.choices[0].text.trim());
  const { data } = await client.embeddings.create({
    model: "real", input: ["old stone", "new bread", "old stone"], encoding_format: "float" });
  assert.deepEqual(data[0].embedding, data[2].embedding);
  assert.notDeepEqual(data[0].embedding, data[1].embedding);
});

test("an aborted stream ends at the engine", async () => {
  const before = cancelled();
  const chunks = await chat({ max_tokens: endless, stream: true });
  for await (const _ of chunks) break;
  chunks.controller.abort();
  await awaitCancelled(before);
});

test("time limits of the client and of the server", async () => {
  await assert.rejects(chat({ max_tokens: 1000 }, { timeout: 1 }), OpenAI.APIConnectionTimeoutError);
  const before = cancelled();
  await assert.rejects(async () => {
    for await (const _ of await chat({ model: "real-late", max_tokens: endless, stream: true }));
  }, /took longer than 500 ms/);
  await awaitCancelled(before);
});

test("retries, of the client and to another engine", async () => {
  for (let i = 0; i < 6; i++)
    assert.ok((await chat({ model: "real-pair", max_tokens: 4 })).choices[0].message.content);
  const running = await chat({ model: "real-single", max_tokens: endless, stream: true });
  await running[Symbol.asyncIterator]().next();
  await assert.rejects(chat({ model: "real-single" }), OpenAI.RateLimitError);
  setTimeout(() => running.controller.abort(), 500);
  assert.ok((await chat({ model: "real-single" }, { maxRetries: 20 })).choices[0].message.content);
});
