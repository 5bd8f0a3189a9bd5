package dev.millrace.backend.tensorflow;

import com.google.protobuf.ByteString;
import dev.millrace.api.DataType;
import dev.millrace.api.Shape;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.function.Consumer;
import org.tensorflow.proto.AttrValue;
import org.tensorflow.proto.GraphDef;
import org.tensorflow.proto.MetaGraphDef;
import org.tensorflow.proto.NodeDef;
import org.tensorflow.proto.SavedModel;
import org.tensorflow.proto.SaverDef;
import org.tensorflow.proto.SignatureDef;
import org.tensorflow.proto.TensorInfo;
import org.tensorflow.proto.TensorProto;
import org.tensorflow.proto.TensorShapeProto;
import org.tensorflow.proto.VersionDef;

/** Writes SavedModels node by node, with the protocol classes of TensorFlow Java. */
final class SavedModelWriter {
  /** The version of graphs that TensorFlow 2.18 writes. */
  private static final int PRODUCER = 1882;

  private final GraphDef.Builder graph =
      GraphDef.newBuilder().setVersions(VersionDef.newBuilder().setProducer(PRODUCER));
  private final MetaGraphDef.Builder metaGraph = MetaGraphDef.newBuilder();
  private List<String> tags = List.of("serve");

  SavedModelWriter tags(String... names) {
    tags = List.of(names);
    return this;
  }

  /** Adds an operation; an attribute is a value as {@link #attribute} takes it. */
  SavedModelWriter node(String name, String op, List<String> inputs, Map<String, ?> attributes) {
    NodeDef.Builder node = NodeDef.newBuilder().setName(name).setOp(op).addAllInput(inputs);
    attributes.entrySet().stream()
        .sorted(Map.Entry.comparingByKey())
        .forEach(entry -> node.putAttr(entry.getKey(), attribute(entry.getValue())));
    graph.addNode(node);
    return this;
  }

  /** A datatype, a shape, a tensor, a number, a text, or a list of datatypes or shapes. */
  private static AttrValue attribute(Object value) {
    AttrValue.Builder attribute = AttrValue.newBuilder();
    switch (value) {
      case DataType type -> attribute.setTypeValue(TensorFlowTypes.number(type));
      case Shape shape -> attribute.setShape(shape(shape));
      case TensorProto tensor -> attribute.setTensor(tensor);
      case Integer number -> attribute.setI(number);
      case String text -> attribute.setS(ByteString.copyFromUtf8(text));
      case List<?> list -> {
        AttrValue.ListValue.Builder values = AttrValue.ListValue.newBuilder();
        for (Object item : list) {
          switch (item) {
            case DataType type -> values.addTypeValue(TensorFlowTypes.number(type));
            case Shape shape -> values.addShape(shape(shape));
            default -> throw new IllegalArgumentException("no attribute: " + item);
          }
        }
        attribute.setList(values);
      }
      default -> throw new IllegalArgumentException("no attribute: " + value);
    }
    return attribute.build();
  }

  SavedModelWriter placeholder(String name, DataType type, Shape shape) {
    return node(name, "Placeholder", List.of(), Map.of("dtype", type, "shape", shape));
  }

  SavedModelWriter constant(String name, TensorProto value) {
    return node(
        name,
        "Const",
        List.of(),
        Map.of("dtype", TensorFlowTypes.dataType(value.getDtypeValue()), "value", value));
  }

  /** A variable that is read as {@code name/read}. */
  SavedModelWriter variable(String name, DataType type, Shape shape) {
    return node(
            name,
            "VarHandleOp",
            List.of(),
            Map.of("dtype", type, "shape", shape, "shared_name", name))
        .node(name + "/read", "ReadVariableOp", List.of(name), Map.of("dtype", type));
  }

  /** Makes the loader restore FP32 variables of these names from {@code variables/}. */
  SavedModelWriter restoring(List<String> variables) {
    List<DataType> types = variables.stream().map(_ -> DataType.FP32).toList();
    constant("save/prefix", text("model"))
        .constant("save/names", texts(variables))
        .constant("save/slices", texts(variables.stream().map(_ -> "").toList()))
        .node(
            "save/restore",
            "RestoreV2",
            List.of("save/prefix", "save/names", "save/slices"),
            Map.of("dtypes", types));
    List<String> assigned = new ArrayList<>();
    for (int i = 0; i < variables.size(); i++) {
      String assign = "save/assign_" + i;
      node(
          assign,
          "AssignVariableOp",
          List.of(variables.get(i), "save/restore:" + i),
          Map.of("dtype", DataType.FP32));
      assigned.add("^" + assign);
    }
    node("save/restore_all", "NoOp", assigned, Map.of());
    metaGraph.setSaverDef(
        SaverDef.newBuilder()
            .setFilenameTensorName("save/prefix:0")
            .setSaveTensorName("save/prefix:0")
            .setRestoreOpName("save/restore_all")
            .setVersion(SaverDef.CheckpointFormatVersion.V2));
    return this;
  }

  SavedModelWriter signature(String name, Consumer<SignatureWriter> content) {
    return signature(name, "tensorflow/serving/predict", content);
  }

  SavedModelWriter signature(String name, String method, Consumer<SignatureWriter> content) {
    SignatureWriter signature = new SignatureWriter();
    signature.definition.setMethodName(method);
    content.accept(signature);
    metaGraph.putSignatureDef(name, signature.definition.build());
    return this;
  }

  /** The inputs and outputs of one signature. */
  static final class SignatureWriter {
    private final SignatureDef.Builder definition = SignatureDef.newBuilder();

    SignatureWriter input(String name, String tensor, DataType type, Shape shape) {
      definition.putInputs(name, info(tensor, type, shape));
      return this;
    }

    SignatureWriter input(String name, TensorInfo info) {
      definition.putInputs(name, info);
      return this;
    }

    SignatureWriter byDefault(String input, TensorProto value) {
      definition.putDefaults(input, value);
      return this;
    }

    SignatureWriter output(String name, String tensor, DataType type, Shape shape) {
      definition.putOutputs(name, info(tensor, type, shape));
      return this;
    }

    SignatureWriter output(String name, TensorInfo info) {
      definition.putOutputs(name, info);
      return this;
    }

    private static TensorInfo info(String tensor, DataType type, Shape shape) {
      return TensorInfo.newBuilder()
          .setName(tensor)
          .setDtypeValue(TensorFlowTypes.number(type))
          .setTensorShape(shape(shape))
          .build();
    }
  }

  static TensorShapeProto shape(Shape shape) {
    TensorShapeProto.Builder proto = TensorShapeProto.newBuilder();
    if (!shape.hasRank()) {
      return proto.setUnknownRank(true).build();
    }
    for (long dim : shape.dims()) {
      proto.addDim(TensorShapeProto.Dim.newBuilder().setSize(dim));
    }
    return proto.build();
  }

  /** A scalar of a text. */
  static TensorProto text(String value) {
    return TensorProto.newBuilder()
        .setDtypeValue(TensorFlowTypes.number(DataType.BYTES))
        .setTensorShape(shape(Shape.scalar()))
        .addStringVal(ByteString.copyFromUtf8(value))
        .build();
  }

  /** A vector of texts. */
  static TensorProto texts(List<String> values) {
    return TensorProto.newBuilder()
        .setDtypeValue(TensorFlowTypes.number(DataType.BYTES))
        .setTensorShape(shape(Shape.of(values.size())))
        .addAllStringVal(values.stream().map(ByteString::copyFromUtf8).toList())
        .build();
  }

  /** An FP32 tensor. */
  static TensorProto floats(Shape shape, float... values) {
    TensorProto.Builder tensor =
        TensorProto.newBuilder()
            .setDtypeValue(TensorFlowTypes.number(DataType.FP32))
            .setTensorShape(shape(shape));
    for (float value : values) {
      tensor.addFloatVal(value);
    }
    return tensor.build();
  }

  byte[] toByteArray() {
    metaGraph
        .setMetaInfoDef(
            MetaGraphDef.MetaInfoDef.newBuilder().addAllTags(tags).setTensorflowVersion("2.18.0"))
        .setGraphDef(graph);
    return SavedModel.newBuilder()
        .setSavedModelSchemaVersion(1)
        .addMetaGraphs(metaGraph)
        .build()
        .toByteArray();
  }

  /** Writes {@code saved_model.pb}. */
  Path write(Path directory) {
    try {
      Files.createDirectories(directory);
      Files.write(directory.resolve(SavedModelDirectory.FILE_NAME), toByteArray());
      return directory;
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }
}
