package dev.millrace.testing;

import dev.millrace.api.DataType;
import dev.millrace.api.Shape;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.List;
import java.util.Locale;
import java.util.function.Consumer;

/**
 * Builds an ONNX model without the ONNX library: the file is one protobuf message, whose fields are
 * numbered here as in {@code onnx.proto}. The same calls give the same bytes. Not thread-safe.
 *
 * <p>Dimensions are given as a whole number for a fixed size, -1 for any size, or a text for a size
 * that has this name and is the same wherever the name occurs.
 */
public final class OnnxModelWriter {
  private static final long IR_VERSION = 8;
  private static final long OPSET = 17;

  private final ProtobufWriter graph = new ProtobufWriter();
  private final ProtobufWriter model = new ProtobufWriter();
  private long irVersion = IR_VERSION;
  private long opset = OPSET;
  private int nodes;

  private OnnxModelWriter(String name) {
    graph.string(2, name);
  }

  /** A writer of a model whose graph has that name. */
  public static OnnxModelWriter graph(String name) {
    return new OnnxModelWriter(name);
  }

  /** The version of the file format, instead of 8. */
  public OnnxModelWriter irVersion(long version) {
    this.irVersion = version;
    return this;
  }

  /** The version of the standard operators, instead of 17. */
  public OnnxModelWriter opset(long version) {
    this.opset = version;
    return this;
  }

  /** Imports the operators of another domain. */
  public OnnxModelWriter opset(String domain, long version) {
    model.message(8, imported -> imported.string(1, domain).integer(2, version));
    return this;
  }

  /** A free key and value. */
  public OnnxModelWriter metadata(String key, String value) {
    model.message(14, entry -> entry.string(1, key).string(2, value));
    return this;
  }

  /** Declares an input. */
  public OnnxModelWriter input(String name, DataType type, Object... dims) {
    return input(name, tensorType(type, dims));
  }

  /** Declares an input that a caller may leave out by the type {@code optional(tensor)}. */
  public OnnxModelWriter optionalInput(String name, DataType type, Object... dims) {
    return input(name, optional -> optional.message(9, o -> o.message(1, tensorType(type, dims))));
  }

  private OnnxModelWriter input(String name, Consumer<ProtobufWriter> type) {
    graph.message(11, value -> value.string(1, name).message(2, type));
    return this;
  }

  /** Declares an output. */
  public OnnxModelWriter output(String name, DataType type, Object... dims) {
    return output(name, tensorType(type, dims));
  }

  /** Declares an output that is a list of maps from numbers to FP32, as scikit-learn's ZipMap. */
  public OnnxModelWriter mapsOutput(String name) {
    return output(
        name,
        sequence ->
            sequence.message(
                4,
                element ->
                    element.message(
                        1,
                        map ->
                            map.message(
                                5,
                                entry ->
                                    entry
                                        .integer(1, elementType(DataType.INT64))
                                        .message(2, tensorType(DataType.FP32))))));
  }

  private OnnxModelWriter output(String name, Consumer<ProtobufWriter> type) {
    graph.message(12, value -> value.string(1, name).message(2, type));
    return this;
  }

  /** A constant; with the name of an input it is what that input has when it is left out. */
  public OnnxModelWriter constant(String name, Shape shape, float... values) {
    byte[] bytes = new byte[values.length * 4];
    littleEndian(bytes).asFloatBuffer().put(values);
    return constant(name, DataType.FP32, shape, bytes);
  }

  /** As {@link #constant(String, Shape, float...)}, of INT64. */
  public OnnxModelWriter constant(String name, Shape shape, long... values) {
    byte[] bytes = new byte[values.length * 8];
    littleEndian(bytes).asLongBuffer().put(values);
    return constant(name, DataType.INT64, shape, bytes);
  }

  private static ByteBuffer littleEndian(byte[] bytes) {
    return ByteBuffer.wrap(bytes).order(ByteOrder.LITTLE_ENDIAN);
  }

  /** A constant of these bytes, little-endian. */
  public OnnxModelWriter constant(String name, DataType type, Shape shape, byte[] values) {
    graph.message(5, tensor -> tensorHead(tensor, name, type, shape).bytes(9, values));
    return this;
  }

  /** A constant whose bytes are in a file beside the model. */
  public OnnxModelWriter externalConstant(String name, DataType type, Shape shape, String file) {
    graph.message(
        5,
        tensor ->
            tensorHead(tensor, name, type, shape)
                .message(13, entry -> entry.string(1, "location").string(2, file))
                .integer(14, 1));
    return this;
  }

  private static ProtobufWriter tensorHead(
      ProtobufWriter tensor, String name, DataType type, Shape shape) {
    for (long dim : shape.dims()) {
      tensor.integer(1, dim);
    }
    return tensor.integer(2, elementType(type)).string(8, name);
  }

  /** Adds an operator; inputs and outputs are names, "" for one that is left out. */
  public OnnxModelWriter node(
      String operator, List<String> inputs, List<String> outputs, Attribute... attributes) {
    return node("", operator, inputs, outputs, attributes);
  }

  /** Adds an operator of another domain. */
  public OnnxModelWriter node(
      String domain,
      String operator,
      List<String> inputs,
      List<String> outputs,
      Attribute... attributes) {
    String name = operator.toLowerCase(Locale.ROOT) + nodes++;
    graph.message(
        1,
        node -> {
          inputs.forEach(input -> node.string(1, input));
          outputs.forEach(output -> node.string(2, output));
          node.string(3, name).string(4, operator);
          for (Attribute attribute : attributes) {
            node.message(5, message -> attribute.content.accept(message));
          }
          node.string(7, domain);
        });
    return this;
  }

  /** The model's file. */
  public byte[] toByteArray() {
    byte[] parts = model.toByteArray();
    byte[] head =
        new ProtobufWriter()
            .integer(1, irVersion)
            .string(2, "millrace")
            .bytes(7, graph.toByteArray())
            .message(8, standard -> standard.string(1, "").integer(2, opset))
            .toByteArray();
    return ByteBuffer.allocate(head.length + parts.length).put(head).put(parts).array();
  }

  private static Consumer<ProtobufWriter> tensorType(DataType type, Object... dims) {
    return message ->
        message.message(
            1,
            tensor ->
                tensor
                    .integer(1, elementType(type))
                    .message(
                        2,
                        shape -> {
                          for (Object dim : dims) {
                            shape.message(1, size -> dimension(size, dim));
                          }
                        }));
  }

  private static void dimension(ProtobufWriter message, Object dim) {
    switch (dim) {
      case Number size when size.longValue() >= 0 -> message.integer(1, size.longValue());
      case String name -> message.string(2, name);
      case Number size when size.longValue() == Shape.ANY -> {}
      default -> throw new IllegalArgumentException("not a dimension: " + dim);
    }
  }

  /** The number of a datatype in TensorProto.DataType. */
  static int elementType(DataType type) {
    return switch (type) {
      case FP32 -> 1;
      case UINT8 -> 2;
      case INT8 -> 3;
      case UINT16 -> 4;
      case INT16 -> 5;
      case INT32 -> 6;
      case INT64 -> 7;
      case BYTES -> 8;
      case BOOL -> 9;
      case FP16 -> 10;
      case FP64 -> 11;
      case UINT32 -> 12;
      case UINT64 -> 13;
      case BF16 -> 16;
    };
  }

  /** A constant parameter of an operator. */
  public static final class Attribute {
    private final Consumer<ProtobufWriter> content;

    private Attribute(Consumer<ProtobufWriter> content) {
      this.content = content;
    }

    /** A whole number. */
    public static Attribute of(String name, long value) {
      return new Attribute(message -> message.string(1, name).integer(3, value).integer(20, 2));
    }

    /** A list of whole numbers. */
    public static Attribute of(String name, long... values) {
      return new Attribute(message -> {
        message.string(1, name);
        for (long value : values) {
          message.integer(8, value);
        }
        message.integer(20, 7);
      });
    }

    /** A datatype, for the attribute {@code to} of Cast. */
    public static Attribute of(String name, DataType type) {
      return of(name, (long) elementType(type));
    }

    /** A graph of its own, as the body of a Loop. */
    public static Attribute of(String name, OnnxModelWriter body) {
      return new Attribute(
          message -> message.string(1, name).bytes(6, body.graph.toByteArray()).integer(20, 5));
    }

    /** A number. */
    public static Attribute of(String name, float value) {
      return new Attribute(message -> message.string(1, name).fixed32(2, value).integer(20, 1));
    }
  }
}
