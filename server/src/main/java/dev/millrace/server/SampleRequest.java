package dev.millrace.server;

import static java.nio.charset.StandardCharsets.UTF_8;

import dev.millrace.api.DataType;
import dev.millrace.api.ModelMetadata;
import dev.millrace.api.Shape;
import dev.millrace.api.TensorSpec;
import java.io.StringWriter;
import java.net.URLEncoder;
import java.util.stream.LongStream;
import tools.jackson.core.JsonGenerator;
import tools.jackson.core.ObjectWriteContext;
import tools.jackson.core.json.JsonFactory;

/**
 * A valid request for a model, made from its metadata: every variable dimension is 1, every number
 * is 1 and every text {@code text}. Inputs that are long, or of a datatype that JSON cannot carry,
 * are zeros in the binary form, which also stands for empty texts. A model that declares no inputs
 * is sent a text by V1, a language model a message.
 *
 * @param path of the request
 * @param json its JSON
 * @param zeros how many zero bytes follow the JSON
 * @param binaryOutput whether the answer has to be binary, because JSON cannot carry it
 */
record SampleRequest(String path, String json, long zeros, boolean binaryOutput) {
  private static final int LONGEST_JSON = 256;
  private static final JsonFactory JSON = new JsonFactory();

  /** A message for a language model. */
  static SampleRequest chat(String model) {
    StringWriter json = new StringWriter();
    try (JsonGenerator out = JSON.createGenerator(ObjectWriteContext.empty(), json)) {
      out.writeStartObject();
      out.writeStringProperty("model", model);
      out.writeArrayPropertyStart("messages");
      out.writeStartObject();
      out.writeStringProperty("role", "user");
      out.writeStringProperty("content", "text");
      out.writeEndObject();
      out.writeEndArray();
      out.writeEndObject();
    }
    return new SampleRequest("/v1/chat/completions", json.toString(), 0, false);
  }

  /** A request for all outputs of the model. */
  static SampleRequest of(ModelMetadata model) {
    String name = URLEncoder.encode(model.id().name(), UTF_8).replace("+", "%20");
    if (model.inputs().isEmpty()) {
      return new SampleRequest(
          "/v1/models/" + name + ":predict", "{\"instances\":[\"text\"]}", 0, false);
    }
    boolean binaryOutput = model.outputs().stream().anyMatch(output -> !isJson(output.dataType()));
    StringWriter json = new StringWriter();
    long zeros = 0;
    try (JsonGenerator out = JSON.createGenerator(ObjectWriteContext.empty(), json)) {
      out.writeStartObject();
      out.writeArrayPropertyStart("inputs");
      for (TensorSpec input : model.inputs()) {
        if (!input.optional()) {
          zeros += write(out, input);
        }
      }
      out.writeEndArray();
      if (binaryOutput) {
        out.writeObjectPropertyStart("parameters");
        out.writeBooleanProperty("binary_data_output", true);
        out.writeEndObject();
      }
      out.writeEndObject();
    }
    return new SampleRequest("/v2/models/" + name + "/infer", json.toString(), zeros, binaryOutput);
  }

  /** Writes one input, and returns how many bytes of it are not in the JSON. */
  private static long write(JsonGenerator out, TensorSpec input) {
    long[] dims = LongStream.of(input.shape().dims()).map(dim -> dim < 0 ? 1 : dim).toArray();
    long elements = Shape.of(dims).elementCount();
    boolean binary = elements > LONGEST_JSON || !isJson(input.dataType());
    long bytes = 0;
    out.writeStartObject();
    out.writeStringProperty("name", input.name());
    out.writeStringProperty("datatype", input.dataType().name());
    out.writeArrayPropertyStart("shape");
    for (long dim : dims) {
      out.writeNumber(dim);
    }
    out.writeEndArray();
    if (binary) {
      bytes =
          Math.multiplyExact(
              elements,
              input.dataType() == DataType.BYTES ? Integer.BYTES : input.dataType().byteSize());
      out.writeObjectPropertyStart("parameters");
      out.writeNumberProperty("binary_data_size", bytes);
      out.writeEndObject();
    } else {
      out.writeArrayPropertyStart("data");
      for (long i = 0; i < elements; i++) {
        writeElement(out, input.dataType());
      }
      out.writeEndArray();
    }
    out.writeEndObject();
    return bytes;
  }

  private static void writeElement(JsonGenerator out, DataType type) {
    switch (type) {
      case BOOL -> out.writeBoolean(true);
      case BYTES -> out.writeString("text");
      case FP32, FP64 -> out.writeNumber(1.0);
      case UINT8, UINT16, UINT32, UINT64, INT8, INT16, INT32, INT64, FP16, BF16 ->
          out.writeNumber(1);
    }
  }

  private static boolean isJson(DataType type) {
    return type != DataType.FP16 && type != DataType.BF16;
  }

  /**
   * The request as a command for a shell.
   *
   * @param server scheme, host and port
   */
  String curl(String server) {
    StringBuilder command = new StringBuilder();
    if (zeros == 0) {
      command.append("curl ").append(quote(server + path));
      command.append(" \\\n  -H 'Content-Type: application/json' \\\n  -d ").append(quote(json));
    } else {
      command.append("{ printf %s ").append(quote(json));
      command.append("; head -c ").append(zeros).append(" /dev/zero; } \\\n  | curl ");
      command.append(quote(server + path));
      command.append(" \\\n    -H 'Content-Type: application/octet-stream' \\\n    -H ");
      command.append(quote("Inference-Header-Content-Length: " + json.getBytes(UTF_8).length));
      command.append(" \\\n    --data-binary @-");
    }
    if (binaryOutput) {
      command.append(" \\\n    --output answer.bin");
    }
    return command.toString();
  }

  private static String quote(String text) {
    return text.matches("[\\w./:%-]+") ? text : "'" + text.replace("'", "'\\''") + "'";
  }
}
