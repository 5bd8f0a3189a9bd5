package dev.millrace.backend.onnx;

import static java.lang.foreign.ValueLayout.JAVA_LONG;
import static java.nio.charset.StandardCharsets.UTF_16LE;
import static java.nio.charset.StandardCharsets.UTF_8;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.invoke.MethodHandle;
import java.nio.charset.Charset;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/** A model in the engine's memory. May be run by several threads at once. */
final class OrtSession implements AutoCloseable {
  /** The enum ONNXType. */
  private static final int TENSOR = 1;

  private static final int SEQUENCE = 2;
  private static final int MAP = 3;
  private static final int OPTIONAL = 6;

  /** Most properties that a model may bring, and most characters of one. */
  private static final int MAX_PROPERTIES = 64;

  private static final int MAX_PROPERTY_LENGTH = 1024;

  /** How the engine wants the names of files. */
  private static final Charset FILE_NAMES =
      System.getProperty("os.name", "").startsWith("Windows") ? UTF_16LE : UTF_8;

  private final long handle;

  private OrtSession(long handle) {
    this.handle = handle;
  }

  /**
   * Loads a model.
   *
   * @throws OrtException if the engine cannot
   */
  static OrtSession open(Path file, OrtSessionOptions options) {
    try (Arena arena = Arena.ofConfined()) {
      return new OrtSession(
          OrtApi.get(
              OrtApi.CREATE_SESSION,
              OrtEnvironment.HANDLE,
              arena.allocateFrom(file.toString(), FILE_NAMES).address(),
              options.handle()));
    }
  }

  long handle() {
    return handle;
  }

  /** The inputs, those with a default last. */
  List<OrtNode> inputs() {
    List<OrtNode> inputs =
        nodes(
            OrtApi.SESSION_GET_INPUT_COUNT,
            OrtApi.SESSION_GET_INPUT_NAME,
            OrtApi.SESSION_GET_INPUT_TYPE_INFO,
            false);
    inputs.addAll(
        nodes(
            OrtApi.SESSION_GET_DEFAULT_COUNT,
            OrtApi.SESSION_GET_DEFAULT_NAME,
            OrtApi.SESSION_GET_DEFAULT_TYPE_INFO,
            true));
    return inputs;
  }

  List<OrtNode> outputs() {
    return nodes(
        OrtApi.SESSION_GET_OUTPUT_COUNT,
        OrtApi.SESSION_GET_OUTPUT_NAME,
        OrtApi.SESSION_GET_OUTPUT_TYPE_INFO,
        false);
  }

  private List<OrtNode> nodes(
      MethodHandle getCount, MethodHandle getName, MethodHandle getType, boolean hasDefault) {
    long count = OrtApi.get(getCount, handle);
    List<OrtNode> nodes = new ArrayList<>();
    for (long i = 0; i < count; i++) {
      String name =
          OrtEnvironment.takeText(OrtApi.get(getName, handle, i, OrtEnvironment.ALLOCATOR));
      long type = OrtApi.get(getType, handle, i);
      try {
        nodes.add(node(name, type, hasDefault));
      } finally {
        OrtApi.release(OrtApi.RELEASE_TYPE_INFO, type);
      }
    }
    return nodes;
  }

  private static OrtNode node(String name, long type, boolean hasDefault) {
    return switch (kind(type)) {
      case TENSOR -> tensor(name, type, hasDefault);
      case OPTIONAL -> {
        long optional = OrtApi.get(OrtApi.CAST_TYPE_INFO_TO_OPTIONAL_INFO, type);
        long contained = OrtApi.get(OrtApi.GET_OPTIONAL_CONTAINED_TYPE, optional);
        try {
          yield kind(contained) == TENSOR
              ? tensor(name, contained, true)
              : OrtNode.of(name, OrtNode.Kind.OTHER, hasDefault);
        } finally {
          OrtApi.release(OrtApi.RELEASE_TYPE_INFO, contained);
        }
      }
      case SEQUENCE -> OrtNode.of(name, listKind(type), hasDefault);
      default -> OrtNode.of(name, OrtNode.Kind.OTHER, hasDefault);
    };
  }

  private static int kind(long type) {
    return (int) OrtApi.get(OrtApi.GET_ONNX_TYPE_FROM_TYPE_INFO, type);
  }

  private static OrtNode.Kind listKind(long type) {
    long list = OrtApi.get(OrtApi.CAST_TYPE_INFO_TO_SEQUENCE_INFO, type);
    long element = OrtApi.get(OrtApi.GET_SEQUENCE_ELEMENT_TYPE, list);
    try {
      return kind(element) == MAP ? OrtNode.Kind.LIST_OF_MAPS : OrtNode.Kind.OTHER;
    } finally {
      OrtApi.release(OrtApi.RELEASE_TYPE_INFO, element);
    }
  }

  private static OrtNode tensor(String name, long type, boolean optional) {
    long tensor = OrtApi.get(OrtApi.CAST_TYPE_INFO_TO_TENSOR_INFO, type);
    int elementType = (int) OrtApi.get(OrtApi.GET_TENSOR_ELEMENT_TYPE, tensor);
    long rank = OrtApi.get(OrtApi.GET_DIMENSIONS_COUNT, tensor);
    List<Long> dims = new ArrayList<>();
    List<String> symbols = new ArrayList<>();
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment array = arena.allocate(JAVA_LONG, Math.max(1, rank));
      OrtApi.call(OrtApi.GET_DIMENSIONS, tensor, array.address(), rank);
      for (long i = 0; i < rank; i++) {
        dims.add(array.getAtIndex(JAVA_LONG, i));
      }
      OrtApi.call(OrtApi.GET_SYMBOLIC_DIMENSIONS, tensor, array.address(), rank);
      for (long i = 0; i < rank; i++) {
        symbols.add(OrtMemory.text(array.getAtIndex(JAVA_LONG, i)));
      }
    }
    boolean hasShape = OrtApi.test(OrtApi.HAS_SHAPE, tensor);
    return new OrtNode(name, OrtNode.Kind.TENSOR, elementType, dims, symbols, hasShape, optional);
  }

  /**
   * What the model's author wrote down: producer, graph, domain, description, version, own keys.
   */
  Map<String, String> properties() {
    Map<String, String> properties = new LinkedHashMap<>();
    long metadata = OrtApi.get(OrtApi.SESSION_GET_MODEL_METADATA, handle);
    try {
      put(properties, "producer", text(OrtApi.METADATA_GET_PRODUCER, metadata));
      put(properties, "graph", text(OrtApi.METADATA_GET_GRAPH_NAME, metadata));
      put(properties, "domain", text(OrtApi.METADATA_GET_DOMAIN, metadata));
      put(properties, "description", text(OrtApi.METADATA_GET_DESCRIPTION, metadata));
      long version = OrtApi.get(OrtApi.METADATA_GET_VERSION, metadata);
      if (version != 0 && version != Long.MAX_VALUE) {
        properties.put("model-version", Long.toString(version));
      }
      putOwnKeys(properties, metadata);
    } finally {
      OrtApi.release(OrtApi.RELEASE_MODEL_METADATA, metadata);
    }
    return properties;
  }

  private static String text(MethodHandle get, long metadata) {
    return OrtEnvironment.takeText(OrtApi.get(get, metadata, OrtEnvironment.ALLOCATOR));
  }

  /** The author's own keys, none of which replaces one above; long values are for programs. */
  private static void putOwnKeys(Map<String, String> properties, long metadata) {
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment array = arena.allocate(JAVA_LONG);
      MemorySegment size = arena.allocate(JAVA_LONG);
      OrtApi.call(
          OrtApi.METADATA_GET_KEYS,
          metadata,
          OrtEnvironment.ALLOCATOR,
          array.address(),
          size.address());
      long count = size.get(JAVA_LONG, 0);
      if (count == 0) {
        return;
      }
      long address = array.get(JAVA_LONG, 0);
      MemorySegment keys = OrtMemory.at(address, count * JAVA_LONG.byteSize());
      for (long i = 0; i < count; i++) {
        String key = OrtEnvironment.takeText(keys.getAtIndex(JAVA_LONG, i));
        long value =
            OrtApi.get(
                OrtApi.METADATA_LOOKUP,
                metadata,
                OrtEnvironment.ALLOCATOR,
                arena.allocateFrom(key).address());
        String text = value == 0 ? "" : OrtEnvironment.takeText(value);
        if (!properties.containsKey(key) && properties.size() < MAX_PROPERTIES) {
          put(properties, key, text);
        }
      }
      OrtApi.call(OrtApi.ALLOCATOR_FREE, OrtEnvironment.ALLOCATOR, address);
    }
  }

  private static void put(Map<String, String> properties, String key, String value) {
    if (!value.isEmpty() && value.length() <= MAX_PROPERTY_LENGTH) {
      properties.put(key, value);
    }
  }

  @Override
  public void close() {
    OrtApi.release(OrtApi.RELEASE_SESSION, handle);
  }
}
