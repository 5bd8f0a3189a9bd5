package dev.millrace.server.v2;

import dev.millrace.api.DataType;
import dev.millrace.api.InferenceException;
import dev.millrace.api.Shape;
import dev.millrace.api.Tensor;
import dev.millrace.api.TensorMap;
import dev.millrace.server.json.JsonSource;
import dev.millrace.server.memory.SharedMemory;
import java.util.Arrays;
import org.jspecify.annotations.Nullable;
import tools.jackson.core.JsonParser;
import tools.jackson.core.JsonToken;

/** Parses the members of {@code inputs}, one after the other, into a map of tensors. */
final class InputParser {
  private static final int NONE = -1;

  private final String model;
  private final JsonParser parser;
  private final JsonSource source;
  private final BinaryInputs binary;
  private final SharedMemory memory;
  private final TensorMap.Builder inputs;

  /** Where a shape is collected; as long as most are, so that it need not be cut. */
  private long[] dims = new long[2];

  // The input that is being parsed.
  private @Nullable String name;
  private @Nullable DataType dataType;
  private @Nullable Shape shape;
  private @Nullable Tensor tensor;
  private long binarySize;
  private @Nullable String region;
  private long regionOffset;
  private long regionSize;
  private boolean dataSeen;

  /** Where {@code data} begins and ends, if it came before what it takes to read it. */
  private int dataStart;

  private int dataEnd;

  InputParser(
      String model,
      JsonParser parser,
      JsonSource source,
      BinaryInputs binary,
      SharedMemory memory,
      TensorMap.Builder inputs) {
    this.model = model;
    this.memory = memory;
    this.parser = parser;
    this.source = source;
    this.binary = binary;
    this.inputs = inputs;
  }

  /** Parses one input, at whose start the parser is, and puts its tensor into the map. */
  void parse() {
    name = null;
    dataType = null;
    shape = null;
    tensor = null;
    binarySize = NONE;
    region = null;
    regionOffset = 0;
    regionSize = NONE;
    dataSeen = false;
    dataStart = NONE;
    try {
      parseMembers();
      finish();
    } finally {
      if (tensor != null) {
        tensor.close();
      }
    }
  }

  private void parseMembers() {
    for (String member = parser.nextName(); member != null; member = parser.nextName()) {
      JsonToken value = parser.nextToken();
      switch (member) {
        case "name" -> name = JsonValues.string(parser, member, value);
        case "datatype" -> dataType = JsonValues.dataType(parser, member, value);
        case "shape" -> shape = shape(value);
        case "parameters" -> parseParameters(value);
        case "data" -> parseData(value);
        default -> parser.skipChildren();
      }
    }
    if (parser.currentToken() != JsonToken.END_OBJECT) {
      throw JsonValues.malformed("the object does not end", source.length());
    }
  }

  private Shape shape(JsonToken value) {
    JsonValues.require(value == JsonToken.START_ARRAY, "shape", "array");
    int rank = 0;
    for (JsonToken token = parser.nextToken();
        token != JsonToken.END_ARRAY;
        token = parser.nextToken()) {
      if (rank == Shape.MAX_RANK) {
        throw InferenceException.invalidArgument(
            "Unable to parse 'shape': it has more than %d dimensions".formatted(Shape.MAX_RANK));
      }
      if (rank == dims.length) {
        dims = Arrays.copyOf(dims, rank * 2);
      }
      dims[rank++] = JsonValues.size(parser, "shape", token);
    }
    return Shape.of(rank == dims.length ? dims : Arrays.copyOf(dims, rank));
  }

  private void parseParameters(JsonToken value) {
    if (value == JsonToken.VALUE_NULL) {
      return;
    }
    JsonValues.require(value == JsonToken.START_OBJECT, "parameters", "object");
    for (String member = parser.nextName(); member != null; member = parser.nextName()) {
      JsonToken token = parser.nextToken();
      switch (member) {
        case "binary_data_size" -> binarySize = JsonValues.size(parser, member, token);
        case "shared_memory_region" -> region = JsonValues.string(parser, member, token);
        case "shared_memory_offset" -> regionOffset = JsonValues.size(parser, member, token);
        case "shared_memory_byte_size" -> regionSize = JsonValues.size(parser, member, token);
        default -> parser.skipChildren();
      }
    }
  }

  private void parseData(JsonToken value) {
    if (value == JsonToken.VALUE_NULL) {
      return;
    }
    if (dataSeen) {
      throw InferenceException.invalidArgument("Unable to parse 'data': it is there twice");
    }
    dataSeen = true;
    if (name != null && dataType != null && shape != null) {
      tensor = JsonTensorReader.read(parser, name, dataType, shape, source.length());
    } else {
      dataStart = Math.toIntExact(parser.currentTokenLocation().getByteOffset());
      parser.skipChildren();
      dataEnd = Math.toIntExact(parser.currentLocation().getByteOffset());
    }
  }

  private void finish() {
    String input = require(name, "name");
    Shape dimensions = require(shape, "shape");
    DataType type = require(dataType, "datatype");
    requireOneSource();
    if (inputs.contains(input)) {
      throw InferenceException.invalidArgument(
          "input '%s' already exists in request".formatted(input));
    }
    String where = region;
    if (where != null) {
      tensor =
          memory.read(
              OutputParser.range(input, where, regionOffset, regionSize),
              type,
              dimensions,
              (dataTypeOf, shapeOf, bytes) ->
                  TensorBytes.check(model, input, dataTypeOf, shapeOf, bytes));
    } else if (binarySize != NONE) {
      tensor = binary.next(input, type, dimensions, binarySize);
    } else if (dataStart != NONE) {
      tensor = readAgain(input, type, dimensions);
    }
    inputs.put(input, require(tensor, "data"));
    tensor = null;
  }

  /** Reads {@code data} that stood before the members that say what it is. */
  private Tensor readAgain(String input, DataType type, Shape dimensions) {
    try (JsonParser again = source.parser(dataStart, dataEnd)) {
      var _ = again.nextToken();
      return JsonTensorReader.read(again, input, type, dimensions, dataEnd - dataStart);
    }
  }

  private void requireOneSource() {
    boolean binaryGiven = binarySize != NONE;
    boolean sharedMemory = region != null;
    int given = (dataSeen ? 1 : 0) + (binaryGiven ? 1 : 0) + (sharedMemory ? 1 : 0);
    if (given != 1) {
      throw InferenceException.invalidArgument(
          "Input must set only one of the following fields: 'data', 'binary_data_size' in 'parameters', 'shared_memory_region' in 'parameters'. But"
              + (given == 0 ? " no field is set" : " set")
              + (given > 0 && dataSeen ? " 'data'" : "")
              + (given > 0 && binaryGiven ? " 'binary_data_size'" : "")
              + (given > 0 && sharedMemory ? " 'shared_memory_region'" : ""));
    }
  }

  private static <T> T require(@Nullable T value, String member) {
    if (value == null) {
      throw RequestParser.missing("inputs", member);
    }
    return value;
  }
}
