// The openai package for Node as it is published, against a server in front of engines that imitate vLLM.

import assert from "node:assert/strict";
import { test, beforeEach } from "node:test";
import OpenAI from "openai";

const served = process.env.SERVED;
const engines = [process.env.ENGINE, process.env.OTHER_ENGINE];
const client = new OpenAI({ baseURL: served + "/v1", apiKey: "none", maxRetries: 0 });
const user = (content) => [{ role: "user", content }];
const chat = (more, options) =>
  client.chat.completions.create({ model: "chat", messages: user("how are you"), ...more }, options);

const askEngine = async (path, body, engine = engines[0]) =>
  (await fetch(engine + "/_scripted/" + path, body === undefined ? {} : { method: "POST", body })).json();

async function awaitEnd(end) {
  const limit = Date.now() + 20000;
  for (;;) {
    const ends = (await askEngine("requests")).map((request) => request.end);
    if (ends.includes(end)) return;
    assert.ok(Date.now() < limit, `never ${end}: ${ends}`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

async function streamed(chunks) {
  let text = "";
  for await (const chunk of chunks) text += chunk.choices[0]?.delta?.content ?? "";
  return text;
}

beforeEach(async () => {
  for (const engine of engines) await askEngine("forget", "", engine);
});

test("chat, completions, embeddings, models", async () => {
  const answer = await chat({ n: 2 });
  assert.equal(answer.choices[1].message.content, "how are you");
  assert.equal(answer.usage.total_tokens, 9);
  const completion = await client.completions.create({ model: "chat", prompt: "a b" });
  assert.equal(completion.choices[0].text, "a b");
  const asBase64 = await client.embeddings.create({ model: "chat", input: ["a", "b"] });
  const asFloats = await client.embeddings.create({ model: "chat", input: ["a", "b"], encoding_format: "float" });
  asBase64.data[1].embedding.forEach((value, i) =>
    assert.ok(Math.abs(value - asFloats.data[1].embedding[i]) < 1e-6));
  const names = [];
  for await (const model of client.models.list()) names.push(model.id);
  assert.ok(names.includes("chat") && names.includes("sql"), names.join());
});

test("a stream, with usage if it is asked for", async () => {
  const usages = [];
  let text = "";
  const chunks = await chat({ stream: true, stream_options: { include_usage: true } });
  for await (const chunk of chunks) {
    text += chunk.choices[0]?.delta?.content ?? "";
    if (chunk.usage) usages.push(chunk.usage.total_tokens);
  }
  assert.equal(text, "how are you");
  assert.deepEqual(usages, [6]);
  for await (const chunk of await chat({ stream: true })) assert.equal(chunk.choices.length, 1);
});

test("tools, whole and streamed", async () => {
  const tools = [{ type: "function", function: { name: "look_up", parameters: { type: "object" } } }];
  const answer = await chat({ tools });
  assert.deepEqual(JSON.parse(answer.choices[0].message.tool_calls[0].function.arguments), { text: "how are you" });
  let given = "";
  for await (const chunk of await chat({ tools, stream: true }))
    for (const call of chunk.choices[0].delta.tool_calls ?? []) given += call.function.arguments ?? "";
  assert.deepEqual(JSON.parse(given), { text: "how are you" });
});

test("streams in odd packets", async () => {
  for (const scripted of ["newline=crlf", "fragment=half", "fragment=7", "comments=yes", "done=no"])
    assert.equal(await streamed(await chat({ stream: true, scripted })), "how are you", scripted);
});

test("an aborted request ends at the engine", async () => {
  const chunks = await chat({ stream: true, scripted: "tokens=100000;gap=10ms" });
  for await (const _ of chunks) break;
  chunks.controller.abort();
  await awaitEnd("cancelled");

  await askEngine("forget", "");
  const controller = new AbortController();
  const whole = chat({ scripted: "stall=request" }, { signal: controller.signal });
  const refused = assert.rejects(whole, OpenAI.APIUserAbortError);
  while ((await askEngine("requests")).length === 0);
  controller.abort();
  await refused;
  await awaitEnd("cancelled");
});

test("time limits of the client and of the server", async () => {
  await assert.rejects(chat({ scripted: "stall=request" }, { timeout: 500 }), OpenAI.APIConnectionTimeoutError);
  await awaitEnd("cancelled");
  await assert.rejects(
    chat({ model: "impatient", stream: true, scripted: "stall=headers" }),
    (error) => error.status === 504);
});

test("errors have a message, whatever their shape", async () => {
  for (const shape of ["flat", "nested", "string", "kserve", "openai"])
    await assert.rejects(
      chat({ scripted: `status=400;error=${shape};message=that is wrong` }),
      (error) => error instanceof OpenAI.BadRequestError && error.message.includes("that is wrong"), shape);
  await assert.rejects(chat({ model: "nobody" }), OpenAI.NotFoundError);
});

test("retries, of the client and to another engine", async () => {
  await askEngine("script", "status=429;header=Retry-After: 0");
  const answer = await chat({}, { maxRetries: 1 });
  assert.equal(answer.choices[0].message.content, "how are you");
  await askEngine("always", "reset=request");
  for (let i = 0; i < 6; i++) {
    const other = await client.chat.completions.create({ model: "pair", messages: user("hello") });
    assert.equal(other.choices[0].message.content, "hello");
  }
});

test("a stream that fails in the middle fails", async () => {
  for (const scripted of ["error-event=2;message=broken", "close=2", "reset=2"])
    await assert.rejects(async () => streamed(await chat({ stream: true, scripted })), scripted);
});
