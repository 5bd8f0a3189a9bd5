package dev.millrace.backend.python;

import static java.nio.charset.StandardCharsets.UTF_8;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.millrace.api.Deadline;
import dev.millrace.api.Device;
import dev.millrace.api.ErrorCode;
import dev.millrace.api.InferenceException;
import dev.millrace.api.ModelId;
import dev.millrace.api.Settings;
import dev.millrace.api.spi.GenerationRequest;
import dev.millrace.api.spi.GenerationRequest.Operation;
import dev.millrace.api.spi.ModelSource;
import dev.millrace.api.spi.TextGenerator;
import java.nio.ByteBuffer;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.Flow;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.TimeUnit;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

/** Scripts for deployments of vLLM, with an engine that stands in for it. */
@Timeout(value = 2, unit = TimeUnit.MINUTES)
class PythonGeneratorTest {
  /** An engine with vLLM's interface that gives the prompt back, word by word. */
  private static final String ENGINE =
      """
      import asyncio, os, signal

      class Output:
          def __init__(self, text, count, reason):
              self.index, self.text, self.token_ids = 0, text, list(range(count))
              self.finish_reason, self.stop_reason = reason, None

      class RequestOutput:
          def __init__(self, prompt, output):
              self.prompt_token_ids, self.outputs = prompt.split(), [output]

      class Tokenizer:
          def apply_chat_template(self, conversation, chat_template, tools, add_generation_prompt, tokenize):
              return " ".join(message["content"] for message in conversation)

      class Engine:
          def __init__(self):
              self.made, self.aborted = 0, []
          async def get_tokenizer(self):
              return Tokenizer()
          async def abort(self, request_id):
              self.aborted.append(request_id)
          async def generate(self, prompt, sampling_params, request_id):
              words = prompt.split(" ")
              if words[0] == "die":
                  os.kill(os.getpid(), signal.SIGKILL)
              if words[0] == "aborted":
                  words = [str(len(self.aborted))]
              if words[0] == "made":
                  words = [str(self.made)]
              if words[0] == "hang":
                  await asyncio.sleep(600)
              endless = words[0] == "endless"
              limit = sampling_params.max_tokens
              count = len(words) if limit is None else min(limit, len(words))
              text, i = "", 0
              while endless or i < count:
                  await asyncio.sleep(0)
                  if not endless and words[i] == "fail":
                      raise ValueError("cannot go on")
                  text = "x" * 65536 * (i + 1) if words[-1] == "large" else " ".join(words[: i + 1])
                  i += 1
                  if endless and words[-1] != "large":
                      text = "endless " * i
                  if endless:
                      self.made += 1
                  last = not endless and i == count
                  reason = None if not last else "length" if count < len(words) else "stop"
                  yield RequestOutput(prompt, Output(text, i, reason))
      """;

  private static final String PLAIN =
      ENGINE
          + """

          class Predictor:
              def __init__(self):
                  self.vllm_engine = Engine()
          """;

  @TempDir Path directory;

  @BeforeAll
  static void requirePython() {
    PythonFixture.requirePython();
  }

  private TextGenerator load(String script, Map<String, Object> settings) {
    PythonFixture.write(directory, "predictor.py", script);
    PythonBackend backend = new PythonBackend(new ScriptFiles(Map.of()));
    return (TextGenerator)
        backend.load(
            new ModelSource(
                new ModelId("scripted", "3"),
                backend.findModel(directory).orElseThrow(),
                Device.CPU,
                2,
                1,
                Settings.of("model.yaml", settings)));
  }

  /** Takes what comes, and asks for no more than it is told to. */
  private static final class Taker implements Flow.Subscriber<TextGenerator.Part> {
    private static final Object DONE = new Object();

    final BlockingQueue<Object> events = new LinkedBlockingQueue<>();
    Flow.@Nullable Subscription subscription;

    @Override
    public void onSubscribe(Flow.Subscription given) {
      subscription = given;
    }

    @Override
    public void onNext(TextGenerator.Part part) {
      events.add(part);
    }

    @Override
    public void onError(Throwable failure) {
      events.add(failure);
    }

    @Override
    public void onComplete() {
      events.add(DONE);
    }

    Taker request(long count) {
      java.util.Objects.requireNonNull(subscription).request(count);
      return this;
    }

    String next() throws InterruptedException {
      return switch (events.take()) {
        case TextGenerator.Part part -> UTF_8.decode(part.json().duplicate()).toString();
        case InferenceException failure -> throw failure;
        default -> "done";
      };
    }

    List<String> all() throws InterruptedException {
      request(Long.MAX_VALUE);
      List<String> all = new ArrayList<>();
      for (String text = next(); !text.equals("done"); text = next()) {
        all.add(
            text.replaceAll("\"created\":\\d+", "\"created\":1").replaceAll("[0-9a-f]{32}", "id"));
      }
      return all;
    }
  }

  private static Taker ask(TextGenerator model, Operation operation, String json) {
    return ask(model, operation, json, Deadline.none());
  }

  private static Taker ask(
      TextGenerator model, Operation operation, String json, Deadline deadline) {
    Taker taker = new Taker();
    model
        .generate(
            new GenerationRequest(
                operation, ByteBuffer.wrap(json.getBytes(UTF_8)), Map.of(), deadline))
        .subscribe(taker);
    return taker;
  }

  private static String completion(TextGenerator model, String prompt) throws InterruptedException {
    return ask(model, Operation.COMPLETION, "{\"prompt\":\"" + prompt + "\"}").all().getFirst();
  }

  @Test
  void chat_goesThroughTheEnginesTemplate() throws Exception {
    try (TextGenerator model = load(PLAIN, Map.of())) {
      List<String> parts =
          ask(
                  model,
                  Operation.CHAT,
                  "{\"model\":\"m\",\"messages\":[{\"role\":\"user\",\"content\":\"grüß dich\"}]}")
              .all();

      assertThat(parts)
          .containsExactly(
              "{\"id\":\"chatcmpl-id\",\"object\":\"chat.completion\",\"created\":1,\"model\":\"m\","
                  + "\"choices\":[{\"index\":0,\"message\":{\"role\":\"assistant\","
                  + "\"content\":\"grüß dich\"},\"logprobs\":null,\"finish_reason\":\"stop\","
                  + "\"stop_reason\":null}],\"usage\":{\"prompt_tokens\":2,\"total_tokens\":4,"
                  + "\"completion_tokens\":2},\"system_fingerprint\":null}");
      assertThat(model.operations())
          .containsExactlyInAnyOrder(Operation.CHAT, Operation.COMPLETION);
    }
  }

  @Test
  void chat_streamsWhatTheEngineAdds() throws Exception {
    try (TextGenerator model = load(PLAIN, Map.of())) {
      List<String> parts =
          ask(
                  model,
                  Operation.CHAT,
                  "{\"model\":\"m\",\"messages\":[{\"content\":\"a b c\"}],\"max_tokens\":2,"
                      + "\"stream\":true,\"stream_options\":{\"include_usage\":true}}")
              .all();

      assertThat(parts).hasSize(3);
      assertThat(parts.get(0))
          .contains("\"object\":\"chat.completion.chunk\"")
          .contains("\"delta\":{\"role\":\"assistant\",\"content\":\"a\"}");
      assertThat(parts.get(1))
          .contains("\"delta\":{\"content\":\" b\"}")
          .contains("\"finish_reason\":\"length\"");
      assertThat(parts.get(2)).contains("\"choices\":[],\"usage\":{\"prompt_tokens\":3,");
    }
  }

  @Test
  void completions_haveOpenAisLimitUnlessTheRequestHasOne() throws Exception {
    try (TextGenerator model = load(PLAIN, Map.of())) {
      String words = "w ".repeat(20).strip();

      assertThat(completion(model, words)).contains("\"completion_tokens\":16");
      assertThat(
              ask(
                      model,
                      Operation.COMPLETION,
                      "{\"prompt\":[\"a b\",\"c\"],\"max_tokens\":9,\"echo\":true}")
                  .all()
                  .getFirst())
          .contains("{\"index\":0,\"text\":\"a ba b\"")
          .contains("{\"index\":1,\"text\":\"cc\"");
    }
  }

  @Test
  void script_mayMakePromptsAndCompletionsItself() throws Exception {
    String script =
        """
        from kserve.protocol.rest.openai import ChatPrompt, CompletionRequest
        from kserve.protocol.rest.openai.types import Completion, CompletionChoice

        class Predictor:
            def __init__(self):
                self.vllm_engine = object()

            def apply_chat_template(self, messages, chat_template=None, tools=None):
                return ChatPrompt(prompt="<" + messages[0]["content"] + ">", response_role="bot")

            async def create_completion(self, request: CompletionRequest):
                text = request.params.prompt + request.context["headers"].get("x-name", "")
                if not request.params.stream:
                    return self.made(text, "stop")
                async def chunks():
                    for letter in text:
                        yield self.made(letter, None)
                return chunks()

            def made(self, text, reason):
                choice = CompletionChoice(index=0, text=text, finish_reason=reason, logprobs=None)
                return Completion(id="cmpl-1", object="text_completion", created=1, model="m", choices=[choice])

            async def create_embedding(self, request):
                return {"object": "list", "data": [{"embedding": [0.5], "index": 0}]}
        """;
    try (TextGenerator model = load(script, Map.of())) {
      assertThat(ask(model, Operation.CHAT, "{\"messages\":[{\"content\":\"ab\"}]}").all())
          .singleElement()
          .asString()
          .contains("{\"role\":\"bot\",\"content\":\"<ab>\"}")
          .contains("\"id\":\"chatcmpl-1\"");
      assertThat(
              ask(model, Operation.CHAT, "{\"messages\":[{\"content\":\"ab\"}],\"stream\":true}")
                  .all())
          .hasSize(4);
      assertThat(ask(model, Operation.COMPLETION, "{\"prompt\":\"p\",\"stream\":true}").all())
          .singleElement()
          .asString()
          .contains("\"text\":\"p\"")
          .contains("\"object\":\"text_completion\"");
      assertThat(ask(model, Operation.EMBEDDINGS, "{\"input\":\"x\"}").all().getFirst())
          .contains("[0.5]");
    }
  }

  @Test
  void cancellation_reachesTheEngine_andTheProcessGoesOn() throws Exception {
    try (TextGenerator model = load(PLAIN, Map.of())) {
      Taker endless =
          ask(model, Operation.COMPLETION, "{\"prompt\":\"endless\",\"stream\":true}").request(3);
      for (int i = 0; i < 3; i++) {
        assertThat(endless.next()).contains("text_completion");
      }
      Taker whole = ask(model, Operation.COMPLETION, "{\"prompt\":\"hang\"}").request(1);
      assertThat(completion(model, "aborted")).contains("\"text\":\"0\"");

      java.util.Objects.requireNonNull(endless.subscription).cancel();
      java.util.Objects.requireNonNull(whole.subscription).cancel();

      while (!completion(model, "aborted").contains("\"text\":\"2\"")) {
        Thread.onSpinWait();
      }
      assertThat(endless.events).isEmpty();
      assertThat(whole.events).isEmpty();
    }
  }

  @Test
  void slowReader_stopsTheEngine() throws Exception {
    try (TextGenerator model = load(PLAIN, Map.of())) {
      Taker slow =
          ask(model, Operation.COMPLETION, "{\"prompt\":\"endless large\",\"stream\":true}")
              .request(1);
      assertThat(slow.next()).contains("xxx");
      String made = completion(model, "made");
      for (int same = 0; same < 20; ) {
        String now = completion(model, "made");
        String text = now.replaceAll("(?s).*\"text\":\"(\\d+)\".*", "$1");
        same = text.equals(made) ? same + 1 : 0;
        made = text;
      }
      assertThat(Integer.parseInt(made)).isLessThan(50);
      assertThat(slow.events).isEmpty();

      slow.request(60);

      for (int i = 0; i < 60; i++) {
        assertThat(slow.next()).contains("xxx");
      }
      java.util.Objects.requireNonNull(slow.subscription).cancel();
    }
  }

  @Test
  void errors_areToldBeforeAndAfterParts() throws Exception {
    try (TextGenerator model = load(PLAIN, Map.of())) {
      assertThatThrownBy(() -> ask(model, Operation.CHAT, "{\"messages\":[{}],\"n\":2}").all())
          .isInstanceOfSatisfying(
              InferenceException.class,
              e -> assertThat(e.code()).isEqualTo(ErrorCode.INVALID_ARGUMENT))
          .hasMessage("n != 1 is not supported");
      assertThatThrownBy(() -> ask(model, Operation.CHAT, "{\"messages\"").all())
          .hasMessageContaining("the request is no JSON");
      assertThatThrownBy(() -> ask(model, Operation.COMPLETION, "{}").all())
          .hasMessage("the request has no 'prompt'");
      Taker broken =
          ask(model, Operation.COMPLETION, "{\"prompt\":\"a b fail\",\"stream\":true}").request(9);
      assertThat(broken.next()).contains("\"text\":\"a\"");
      assertThat(broken.next()).contains("\"text\":\" b\"");
      assertThatThrownBy(broken::next)
          .isInstanceOfSatisfying(
              InferenceException.class, e -> assertThat(e.code()).isEqualTo(ErrorCode.INTERNAL))
          .hasMessageContaining("ValueError: cannot go on");
      assertThat(completion(model, "a")).contains("\"text\":\"a\"");
    }
  }

  @Test
  void deadline_endsTheWork() throws Exception {
    try (TextGenerator model = load(PLAIN, Map.of())) {
      Taker late =
          ask(
                  model,
                  Operation.COMPLETION,
                  "{\"prompt\":\"hang\"}",
                  Deadline.after(Duration.ofMillis(100), System::nanoTime))
              .request(1);

      assertThatThrownBy(late::next)
          .isInstanceOfSatisfying(
              InferenceException.class,
              e -> assertThat(e.code()).isEqualTo(ErrorCode.DEADLINE_EXCEEDED));
    }
  }

  @Test
  void process_thatDies_failsItsRequestsAndIsStartedAgain() throws Exception {
    try (TextGenerator model = load(PLAIN, Map.of())) {
      assertThat(completion(model, "a")).contains("\"text\":\"a\"");

      assertThatThrownBy(() -> completion(model, "die"))
          .isInstanceOfSatisfying(
              InferenceException.class, e -> assertThat(e.code()).isEqualTo(ErrorCode.UNAVAILABLE));

      assertThat(completion(model, "b")).contains("\"text\":\"b\"");
    }
  }

  @Test
  void callThatSaysNothing_isGivenUpAfterItsTime() throws Exception {
    try (TextGenerator model = load(PLAIN, Map.of("call-timeout", "1s"))) {
      assertThatThrownBy(() -> completion(model, "hang"))
          .isInstanceOfSatisfying(
              InferenceException.class,
              e -> assertThat(e.code()).isEqualTo(ErrorCode.DEADLINE_EXCEEDED));
    }
  }

  @Test
  void streams_goOnSideBySide() throws Exception {
    try (TextGenerator model = load(PLAIN, Map.of())) {
      List<Taker> takers = new ArrayList<>();
      for (int i = 0; i < 48; i++) {
        takers.add(
            ask(
                model,
                Operation.COMPLETION,
                "{\"prompt\":\"number %d of many\",\"stream\":true}".formatted(i)));
      }
      for (int i = 0; i < takers.size(); i++) {
        assertThat(String.join("", takers.get(i).all()))
            .contains("\"text\":\" %d\"".formatted(i))
            .contains("\"finish_reason\":\"stop\"");
      }
    }
  }
}
