package dev.millrace.testing.llm;

import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/** What a request says to the model. A word counts as a token. */
final class Prompts {
  private Prompts() {}

  /** The prompts of completions, or the inputs of embeddings: texts, or tokens as texts. */
  static List<String> of(@Nullable Object prompt) {
    if (!(prompt instanceof List<?> list)) {
      return List.of(prompt == null ? "" : prompt.toString());
    }
    if (!list.isEmpty() && list.getFirst() instanceof Long) {
      return List.of(words(list));
    }
    List<String> prompts = new ArrayList<>();
    for (Object element : list) {
      prompts.add(element instanceof List<?> ids ? words(ids) : String.valueOf(element));
    }
    return prompts;
  }

  private static String words(List<?> list) {
    return String.join(" ", list.stream().map(String::valueOf).toList());
  }

  static String lastMessage(Map<?, ?> request) {
    return request.get("messages") instanceof List<?> messages && !messages.isEmpty()
        ? content(messages.getLast())
        : "";
  }

  static int messageWords(Map<?, ?> request) {
    int words = 0;
    if (request.get("messages") instanceof List<?> messages) {
      for (Object message : messages) {
        words += content(message).split(" ", -1).length;
      }
    }
    return words;
  }

  private static String content(Object message) {
    Object content = message instanceof Map<?, ?> map ? map.get("content") : null;
    if (content instanceof List<?> parts) {
      List<String> texts = new ArrayList<>();
      for (Object part : parts) {
        if (part instanceof Map<?, ?> map && map.get("text") instanceof String text) {
          texts.add(text);
        }
      }
      return String.join(" ", texts);
    }
    return content == null ? "" : content.toString();
  }

  /** The function that a request wants called; null if none, or if it has been called already. */
  static @Nullable String toolToCall(Map<?, ?> request) {
    if (request.get("tool_choice") instanceof Map<?, ?> choice) {
      return name(choice);
    }
    if (!(request.get("tools") instanceof List<?> tools)
        || tools.isEmpty()
        || "none".equals(request.get("tool_choice"))) {
      return null;
    }
    boolean wasCalled =
        request.get("messages") instanceof List<?> messages
            && !messages.isEmpty()
            && messages.getLast() instanceof Map<?, ?> last
            && "tool".equals(last.get("role"));
    return wasCalled || !(tools.getFirst() instanceof Map<?, ?> first) ? null : name(first);
  }

  private static @Nullable String name(Map<?, ?> tool) {
    return tool.get("function") instanceof Map<?, ?> function
            && function.get("name") instanceof String name
        ? name
        : null;
  }
}
