package dev.millrace.server.llm;

import static java.nio.charset.StandardCharsets.UTF_8;
import static java.util.Objects.requireNonNull;

import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.function.Consumer;

/**
 * Writes a file with a very small language model of random weights, the same ones each time: two
 * layers of Llama's architecture, and a vocabulary of all bytes and a few words. It prefers words,
 * and says nothing of sense.
 *
 * @see <a href="https://github.com/ggml-org/ggml/blob/master/docs/gguf.md">the format GGUF</a>
 */
final class TinyModelFile {
  static final int WIDTH = 64;

  private static final int HIDDEN = 128;
  private static final int HEADS = 4;
  private static final int LAYERS = 2;
  private static final int CONTEXT = 2048;
  private static final int ALIGNMENT = 32;
  private static final List<String> WORDS =
      List.of(
          "river", "stone", "mill", "wheel", "water", "grain", "flour", "bread", "a", "the", "of",
          "and", "to", "turns", "falls", "runs", "under", "over", "slow", "fast", "old", "new");

  // What GGUF calls types of values and of tokens.
  private static final int UINT32 = 4;
  private static final int INT32 = 5;
  private static final int FLOAT32 = 6;
  private static final int STRING = 8;
  private static final int ARRAY = 9;
  private static final int NORMAL = 1;
  private static final int UNKNOWN = 2;
  private static final int CONTROL = 3;
  private static final int BYTE = 6;

  private final List<String> tokens = new ArrayList<>();
  private final List<Integer> kinds = new ArrayList<>();
  private final Map<String, float[]> tensors = new LinkedHashMap<>();
  private final Map<String, int[]> shapes = new LinkedHashMap<>();
  private final Random random = new Random(7);

  private TinyModelFile() {
    token("<unk>", UNKNOWN);
    token("<s>", CONTROL);
    token("</s>", CONTROL);
    for (int i = 0; i < 256; i++) {
      token("<0x%02X>".formatted(i), BYTE);
    }
    int firstWord = tokens.size();
    WORDS.forEach(word -> token("\u2581" + word, NORMAL));
    random("token_embd.weight", 1, WIDTH, tokens.size());
    for (int i = 0; i < LAYERS; i++) {
      String layer = "blk." + i + ".";
      ones(layer + "attn_norm.weight");
      for (String name : List.of("attn_q", "attn_k", "attn_v", "attn_output")) {
        random(layer + name + ".weight", 0.1f, WIDTH, WIDTH);
      }
      ones(layer + "ffn_norm.weight");
      random(layer + "ffn_gate.weight", 0.1f, WIDTH, HIDDEN);
      random(layer + "ffn_down.weight", 0.1f, HIDDEN, WIDTH);
      random(layer + "ffn_up.weight", 0.1f, WIDTH, HIDDEN);
    }
    ones("output_norm.weight");
    // Nothing but words has a say in what comes next.
    float[] output = random("output.weight", 1, WIDTH, tokens.size());
    for (int i = 0; i < firstWord * WIDTH; i++) {
      output[i] *= 0.001f;
    }
  }

  private void token(String text, int kind) {
    tokens.add(text);
    kinds.add(kind);
  }

  private float[] tensor(String name, int... shape) {
    int size = 1;
    for (int length : shape) {
      size *= length;
    }
    float[] values = new float[size];
    tensors.put(name, values);
    shapes.put(name, shape);
    return values;
  }

  private void ones(String name) {
    Arrays.fill(tensor(name, WIDTH), 1);
  }

  private float[] random(String name, float scale, int... shape) {
    float[] values = tensor(name, shape);
    for (int i = 0; i < values.length; i++) {
      values[i] = scale * (float) random.nextGaussian();
    }
    return values;
  }

  /** Writes the file. */
  static void write(Path file) throws IOException {
    TinyModelFile model = new TinyModelFile();
    Out head = new Out();
    List<Runnable> values = model.values(head);
    head.bytes("GGUF".getBytes(UTF_8));
    head.number(3);
    head.big(model.tensors.size());
    head.big(values.size());
    values.forEach(Runnable::run);
    Out data = new Out();
    model.tensors.forEach((name, content) -> {
      int[] shape = requireNonNull(model.shapes.get(name));
      head.text(name);
      head.number(shape.length);
      for (int length : shape) {
        head.big(length);
      }
      head.number(0); // 32-bit floats
      head.big(data.size());
      for (float value : content) {
        data.real(value);
      }
      data.align();
    });
    head.align();
    head.bytes(data.toByteArray());
    Files.write(file, head.toByteArray());
  }

  private List<Runnable> values(Out out) {
    List<Runnable> values = new ArrayList<>();
    Map.of(
            "context_length", CONTEXT,
            "embedding_length", WIDTH,
            "block_count", LAYERS,
            "feed_forward_length", HIDDEN,
            "attention.head_count", HEADS,
            "attention.head_count_kv", HEADS,
            "rope.dimension_count", WIDTH / HEADS,
            "vocab_size", tokens.size())
        .forEach((key, value) -> values.add(() -> out.key("llama." + key, UINT32).number(value)));
    values.addFirst(() -> out.key("general.architecture", STRING).text("llama"));
    values.add(() -> out.key("general.name", STRING).text("tiny"));
    values.add(() -> out.key("llama.attention.layer_norm_rms_epsilon", FLOAT32).real(1e-5f));
    values.add(() -> out.key("tokenizer.ggml.model", STRING).text("llama"));
    values.add(() -> {
      out.key("tokenizer.ggml.tokens", ARRAY).number(STRING).big(tokens.size());
      tokens.forEach(out::text);
    });
    values.add(() -> {
      out.key("tokenizer.ggml.scores", ARRAY).number(FLOAT32).big(tokens.size());
      tokens.forEach(_ -> out.real(0));
    });
    values.add(() -> {
      out.key("tokenizer.ggml.token_type", ARRAY).number(INT32).big(tokens.size());
      kinds.forEach(out::number);
    });
    values.add(() -> out.key("tokenizer.ggml.unknown_token_id", UINT32).number(0));
    values.add(() -> out.key("tokenizer.ggml.bos_token_id", UINT32).number(1));
    values.add(() -> out.key("tokenizer.ggml.eos_token_id", UINT32).number(2));
    return values;
  }

  /** Little-endian. */
  private static final class Out extends ByteArrayOutputStream {
    void bytes(byte[] given) {
      writeBytes(given);
    }

    private void put(int size, Consumer<ByteBuffer> what) {
      ByteBuffer buffer = ByteBuffer.allocate(size).order(ByteOrder.LITTLE_ENDIAN);
      what.accept(buffer);
      writeBytes(buffer.array());
    }

    Out number(int value) {
      put(4, buffer -> buffer.putInt(value));
      return this;
    }

    Out big(long value) {
      put(8, buffer -> buffer.putLong(value));
      return this;
    }

    void real(float value) {
      put(4, buffer -> buffer.putFloat(value));
    }

    void text(String value) {
      byte[] encoded = value.getBytes(UTF_8);
      big(encoded.length);
      writeBytes(encoded);
    }

    Out key(String name, int type) {
      text(name);
      return number(type);
    }

    void align() {
      while (size() % ALIGNMENT != 0) {
        write(0);
      }
    }
  }
}
