package dev.millrace.testing.llm;

import static java.nio.charset.StandardCharsets.UTF_8;

import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.function.Supplier;
import org.jspecify.annotations.Nullable;

/** The tokens of one answer of chat or completions, whole and as events. */
final class Generation {
  private static final int USUAL_COMPLETION_TOKENS = 16;

  private final Dialect dialect;
  private final Map<?, ?> request;
  private final Script script;
  private final boolean chat;
  private final String id;
  private final long created = System.currentTimeMillis() / 1000;
  private final Object model;
  private final List<String> prompts;
  private final int choicesPerPrompt;
  private final int promptTokens;
  private final @Nullable String tool;

  Generation(Dialect dialect, Map<?, ?> request, Script script, boolean chat, String id) {
    this.dialect = dialect;
    this.request = request;
    this.script = script;
    this.chat = chat;
    this.id = (chat ? "chatcmpl-" : "cmpl-") + id;
    this.model = request.get("model") instanceof String name ? name : "";
    this.prompts = chat ? List.of(Prompts.lastMessage(request)) : Prompts.of(request.get("prompt"));
    this.choicesPerPrompt = request.get("n") instanceof Long n ? (int) (long) n : 1;
    this.promptTokens =
        chat
            ? Prompts.messageWords(request)
            : prompts.stream().mapToInt(p -> p.split(" ", -1).length).sum();
    this.tool = chat ? Prompts.toolToCall(request) : null;
  }

  private int choices() {
    return prompts.size() * choicesPerPrompt;
  }

  private String[] words(int choice) {
    String text = script.text("text");
    if (tool != null) {
      text = Json.compact(Json.object("text", prompts.getFirst()));
      int half = text.length() / 2;
      return new String[] {text.substring(0, half), text.substring(half)};
    }
    return (text == null ? prompts.get(choice / choicesPerPrompt) : text).split(" ", -1);
  }

  private int wanted(int choice) {
    return tool != null ? 2 : script.number("tokens", words(choice).length);
  }

  private int limit() {
    for (String name : new String[] {"max_completion_tokens", "max_tokens"}) {
      if (request.get(name) instanceof Long limit) {
        return (int) (long) limit;
      }
    }
    return chat || script.text("tokens") != null ? Integer.MAX_VALUE : USUAL_COMPLETION_TOKENS;
  }

  private boolean isCut(int choice) {
    return tool == null && wanted(choice) > limit();
  }

  private int tokens(int choice) {
    return isCut(choice) ? limit() : wanted(choice);
  }

  private String token(int choice, int index) {
    String[] words = words(choice);
    String token = (tool != null || index == 0 ? "" : " ") + words[index % words.length];
    int size = script.number("size", 0);
    return size > token.length() ? token + "x".repeat(size - token.length()) : token;
  }

  private String text(int choice) {
    StringBuilder text = new StringBuilder();
    for (int i = 0; i < tokens(choice); i++) {
      text.append(token(choice, i));
    }
    return text.toString();
  }

  private String finishReason(int choice) {
    return tool != null ? "tool_calls" : isCut(choice) ? "length" : "stop";
  }

  private Map<String, @Nullable Object> usage(int completionTokens, boolean details) {
    Map<String, @Nullable Object> usage =
        Json.object(
            "prompt_tokens",
            (long) promptTokens,
            "total_tokens",
            (long) promptTokens + completionTokens,
            "completion_tokens",
            (long) completionTokens);
    if (details) {
      usage.put("prompt_tokens_details", null);
    }
    return usage;
  }

  private int allTokens() {
    int all = 0;
    for (int choice = 0; choice < choices(); choice++) {
      all += tokens(choice);
    }
    return all;
  }

  private @Nullable Object logprobs(int choice, int from, int to) {
    Object asked = request.get("logprobs");
    if (asked == null || asked.equals(false)) {
      return null;
    }
    List<@Nullable Object> tokens = new ArrayList<>();
    List<@Nullable Object> probabilities = new ArrayList<>();
    List<@Nullable Object> offsets = new ArrayList<>();
    List<@Nullable Object> content = new ArrayList<>();
    long offset = 0;
    for (int i = 0; i < to; i++) {
      String token = token(choice, i);
      if (i >= from) {
        List<Long> bytes = new ArrayList<>();
        for (byte b : token.getBytes(UTF_8)) {
          bytes.add((long) Byte.toUnsignedInt(b));
        }
        content.add(
            Json.object(
                "token", token, "logprob", -0.5, "bytes", bytes, "top_logprobs", List.of()));
        tokens.add(token);
        probabilities.add(-0.5);
        offsets.add(offset);
      }
      offset += token.length();
    }
    return chat
        ? Json.object("content", content)
        : Json.object(
            "text_offset",
            offsets,
            "token_logprobs",
            probabilities,
            "tokens",
            tokens,
            "top_logprobs",
            tokens.stream().map(token -> Json.object(String.valueOf(token), -0.5)).toList());
  }

  // ---- whole

  Map<String, @Nullable Object> whole() {
    List<Object> choices = new ArrayList<>();
    for (int choice = 0; choice < choices(); choice++) {
      choices.add(chat ? chatChoice(choice) : textChoice(choice));
    }
    Map<String, @Nullable Object> whole =
        Json.object(
            "id",
            id,
            "object",
            chat ? "chat.completion" : "text_completion",
            "created",
            created,
            "model",
            model,
            "choices",
            choices);
    boolean hasUsage = !script.is("usage", "no");
    if (dialect == Dialect.MAIN) {
      whole.put("service_tier", null);
      whole.put("system_fingerprint", null);
    }
    if (hasUsage) {
      whole.put("usage", usage(allTokens(), true));
    }
    if (chat) {
      whole.put("prompt_logprobs", null);
    }
    if (dialect == Dialect.MAIN) {
      if (chat) {
        whole.put("prompt_token_ids", null);
      }
      whole.put("kv_transfer_params", null);
    }
    return whole;
  }

  private Map<String, @Nullable Object> chatChoice(int choice) {
    List<Object> calls =
        tool == null
            ? List.of()
            : List.of(
                Json.object(
                    "id",
                    "chatcmpl-tool-" + id.substring(id.length() - 8) + choice,
                    "type",
                    "function",
                    "function",
                    Json.object("name", tool, "arguments", text(choice))));
    String content = tool == null ? text(choice) : null;
    Map<String, @Nullable Object> message =
        switch (dialect) {
          case V0_7_1 ->
              Json.object(
                  "role",
                  "assistant",
                  "reasoning_content",
                  null,
                  "content",
                  content,
                  "tool_calls",
                  calls);
          case MAIN ->
              Json.object(
                  "role",
                  "assistant",
                  "content",
                  content,
                  "refusal",
                  null,
                  "annotations",
                  null,
                  "audio",
                  null,
                  "function_call",
                  null,
                  "tool_calls",
                  calls,
                  "reasoning",
                  null);
        };
    Map<String, @Nullable Object> found =
        Json.object(
            "index",
            (long) choice,
            "message",
            message,
            "logprobs",
            logprobs(choice, 0, tokens(choice)),
            "finish_reason",
            finishReason(choice),
            "stop_reason",
            null);
    if (dialect == Dialect.MAIN) {
      found.put("token_ids", null);
    }
    return found;
  }

  private Map<String, @Nullable Object> textChoice(int choice) {
    return Json.object(
        "index",
        (long) choice,
        "text",
        text(choice),
        "logprobs",
        logprobs(choice, 0, tokens(choice)),
        "finish_reason",
        finishReason(choice),
        "stop_reason",
        null,
        "prompt_logprobs",
        null);
  }

  // ---- events

  private boolean streamOption(String name) {
    return request.get("stream_options") instanceof Map<?, ?> options
        && Boolean.TRUE.equals(options.get(name));
  }

  List<Supplier<String>> events() {
    List<Supplier<String>> events = new ArrayList<>();
    boolean never = script.is("usage", "no");
    boolean continuous = streamOption("continuous_usage_stats") && !never;
    if (chat) {
      for (int c = 0; c < choices(); c++) {
        int choice = c;
        events.add(() ->
            chunk(
                choice,
                Json.object("role", "assistant", "content", ""),
                null,
                null,
                continuous ? usage(0, false) : null));
      }
    }
    int most = 0;
    for (int choice = 0; choice < choices(); choice++) {
      most = Math.max(most, tokens(choice));
    }
    for (int i = 0; i < most; i++) {
      for (int c = 0; c < choices(); c++) {
        if (i < tokens(c)) {
          addToken(events, c, i, continuous);
        }
      }
    }
    for (int c = 0; c < choices(); c++) {
      int choice = c;
      if (!isCut(choice)) {
        boolean last = script.is("usage", "last") && choice == choices() - 1;
        events.add(() ->
            chunk(
                choice,
                chat ? Json.object("content", "") : "",
                null,
                finishReason(choice),
                last || continuous ? usage(allTokens(), false) : null));
      }
    }
    if (streamOption("include_usage") && !never && !script.is("usage", "last")) {
      events.add(() -> {
        Map<String, @Nullable Object> last = head();
        last.put("choices", List.of());
        last.put("usage", usage(allTokens(), false));
        return "data: " + Json.compact(last);
      });
    }
    return events;
  }

  private void addToken(List<Supplier<String>> events, int choice, int index, boolean continuous) {
    boolean isLast = isCut(choice) && index == tokens(choice) - 1;
    events.add(() ->
        chunk(
            choice,
            chat ? delta(choice, index) : token(choice, index),
            logprobs(choice, index, index + 1),
            isLast ? finishReason(choice) : null,
            continuous ? usage((index + 1) * choices(), false) : null));
  }

  private Map<String, @Nullable Object> delta(int choice, int index) {
    if (tool == null) {
      return Json.object("content", token(choice, index));
    }
    Map<String, @Nullable Object> call =
        index == 0
            ? Json.object(
                "index",
                0L,
                "id",
                "chatcmpl-tool-" + id.substring(id.length() - 8) + choice,
                "type",
                "function",
                "function",
                Json.object("name", tool, "arguments", token(choice, index)))
            : Json.object("index", 0L, "function", Json.object("arguments", token(choice, index)));
    return Json.object("tool_calls", List.of(call));
  }

  private Map<String, @Nullable Object> head() {
    return Json.object(
        "id",
        id,
        "object",
        chat ? "chat.completion.chunk" : "text_completion",
        "created",
        created,
        "model",
        model);
  }

  /** Chat leaves out what is not set, completions writes it as null. */
  private String chunk(
      int choice,
      Object content,
      @Nullable Object logprobs,
      @Nullable String finishReason,
      @Nullable Object usage) {
    Map<String, @Nullable Object> found =
        Json.object(
            "index",
            (long) choice,
            chat ? "delta" : "text",
            content,
            "logprobs",
            logprobs,
            "finish_reason",
            finishReason);
    if (!chat || finishReason != null) {
      found.put("stop_reason", null);
    }
    Map<String, @Nullable Object> chunk = head();
    chunk.put("choices", List.of(found));
    if (!chat || usage != null) {
      chunk.put("usage", usage);
    }
    return "data: " + Json.compact(chunk);
  }
}
