package dev.millrace.backend.tensorflow;

import static dev.millrace.backend.tensorflow.ProtobufFields.readFields;
import static dev.millrace.backend.tensorflow.ProtobufFields.readMessage;

import com.google.protobuf.CodedInputStream;
import com.google.protobuf.ExtensionRegistryLite;
import java.io.IOException;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;
import org.tensorflow.proto.MetaGraphDef.MetaInfoDef;
import org.tensorflow.proto.SignatureDef;

/**
 * What the backend has to know of a {@code MetaGraphDef} ({@code meta_graph.proto}) before the
 * engine loads it. The graph, which may hold all weights, is passed over and never in memory.
 *
 * @param tags what the graph is for, as in {@code serve}
 * @param producer the version of TensorFlow that wrote it; empty if it does not say
 * @param signatures by name, without those that only initialise
 * @param restoresVariables whether it has variables, and says how they are read from a checkpoint
 */
record MetaGraph(
    List<String> tags,
    String producer,
    Map<String, SignatureDef> signatures,
    boolean restoresVariables) {
  /** Signatures whose names start so are for the loader. */
  private static final String INTERNAL = "__saved_model_";

  private static final Set<String> VARIABLES =
      Set.of("VarHandleOp", "_VarHandlesOp", "VariableV2", "Variable");

  // SavedModel, MetaGraphDef
  private static final int META_GRAPHS = 2;
  private static final int META_INFO_DEF = 1;
  private static final int GRAPH_DEF = 2;
  private static final int SAVER_DEF = 3;
  private static final int SIGNATURE_DEF = 5;

  // GraphDef, FunctionDefLibrary, FunctionDef, NodeDef, and the entry of a map
  private static final int GRAPH_NODE = 1;
  private static final int GRAPH_LIBRARY = 2;
  private static final int LIBRARY_FUNCTION = 1;
  private static final int FUNCTION_NODE = 3;
  private static final int NODE_OP = 2;
  private static final int KEY = 1;
  private static final int VALUE = 2;

  MetaGraph {
    tags = List.copyOf(tags);
    signatures = Collections.unmodifiableMap(new TreeMap<>(signatures));
  }

  /**
   * The graphs of a {@code SavedModel} ({@code saved_model.proto}).
   *
   * @throws IOException if the bytes are not one, or not a whole one
   */
  static List<MetaGraph> ofSavedModel(CodedInputStream in) throws IOException {
    List<MetaGraph> graphs = new ArrayList<>();
    readFields(
        in,
        (field, message) -> {
          if (field != META_GRAPHS) {
            return false;
          }
          Reader reader = new Reader();
          readMessage(message, reader::field);
          graphs.add(reader.result());
          return true;
        });
    return graphs;
  }

  /** Collects the fields of one MetaGraphDef. */
  private static final class Reader {
    private MetaInfoDef info = MetaInfoDef.getDefaultInstance();
    private final Map<String, SignatureDef> signatures = new TreeMap<>();
    private boolean hasVariables;
    private boolean hasSaver;

    boolean field(int number, CodedInputStream in) throws IOException {
      switch (number) {
        case META_INFO_DEF ->
            info = in.readMessage(MetaInfoDef.parser(), ExtensionRegistryLite.getEmptyRegistry());
        case GRAPH_DEF -> readMessage(in, this::graphField);
        case SAVER_DEF -> {
          hasSaver = true;
          return false;
        }
        case SIGNATURE_DEF -> signature(in);
        default -> {
          return false;
        }
      }
      return true;
    }

    private void signature(CodedInputStream in) throws IOException {
      String[] name = {""};
      SignatureDef[] signature = {SignatureDef.getDefaultInstance()};
      readMessage(
          in,
          (number, entry) -> {
            switch (number) {
              case KEY -> name[0] = entry.readString();
              case VALUE ->
                  signature[0] =
                      entry.readMessage(
                          SignatureDef.parser(), ExtensionRegistryLite.getEmptyRegistry());
              default -> {
                return false;
              }
            }
            return true;
          });
      if (!name[0].startsWith(INTERNAL)) {
        signatures.put(name[0], signature[0]);
      }
    }

    private boolean graphField(int number, CodedInputStream in) throws IOException {
      switch (number) {
        case GRAPH_NODE -> readMessage(in, this::nodeField);
        case GRAPH_LIBRARY -> readMessage(in, this::libraryField);
        default -> {
          return false;
        }
      }
      return true;
    }

    private boolean libraryField(int number, CodedInputStream in) throws IOException {
      if (number == LIBRARY_FUNCTION) {
        readMessage(in, this::functionField);
        return true;
      }
      return false;
    }

    private boolean functionField(int number, CodedInputStream in) throws IOException {
      if (number == FUNCTION_NODE) {
        readMessage(in, this::nodeField);
        return true;
      }
      return false;
    }

    private boolean nodeField(int number, CodedInputStream in) throws IOException {
      if (number == NODE_OP) {
        hasVariables |= VARIABLES.contains(in.readString());
        return true;
      }
      return false;
    }

    MetaGraph result() {
      return new MetaGraph(
          info.getTagsList(), info.getTensorflowVersion(), signatures, hasVariables && hasSaver);
    }
  }
}
