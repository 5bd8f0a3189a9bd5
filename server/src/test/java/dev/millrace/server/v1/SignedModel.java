package dev.millrace.server.v1;

import static java.util.Objects.requireNonNull;

import com.google.protobuf.InvalidProtocolBufferException;
import dev.millrace.api.DataType;
import dev.millrace.api.InferenceException;
import dev.millrace.api.ModelId;
import dev.millrace.api.ModelMetadata;
import dev.millrace.api.Shape;
import dev.millrace.api.Tensor;
import dev.millrace.api.TensorMap;
import dev.millrace.api.TensorSpec;
import dev.millrace.api.spi.Predictor;
import dev.millrace.api.spi.TensorModel;
import dev.millrace.proto.tensorflow.Example;
import dev.millrace.proto.tensorflow.Feature;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.function.UnaryOperator;

/**
 * Half plus two with the signatures that exporters give such a model: its own, {@code negative}
 * with other names, and two that parse examples.
 */
final class SignedModel implements TensorModel {
  private final ModelId id;
  private final Map<String, TensorModel> signatures = new LinkedHashMap<>();

  SignedModel(ModelId id) {
    this.id = id;
    add("serving_default", "predict", "x", DataType.FP32, "y", inputs -> of(inputs, "x", "y", 1));
    add("negative", "predict", "a", DataType.FP32, "b", inputs -> of(inputs, "a", "b", -1));
    add("classify_x", "classify", "inputs", DataType.BYTES, "scores", SignedModel::scores);
    add("regress_x", "regress", "inputs", DataType.BYTES, "outputs", SignedModel::outputs);
  }

  private void add(
      String name,
      String method,
      String input,
      DataType type,
      String output,
      UnaryOperator<TensorMap> function) {
    ModelMetadata metadata =
        new ModelMetadata(
            id,
            "java_signed",
            List.of(new TensorSpec(input, type, Shape.of(-1))),
            List.of(new TensorSpec(output, DataType.FP32, Shape.of(-1))),
            16,
            Map.of(
                "signature",
                name,
                "method-name",
                "tensorflow/serving/" + method,
                "input." + input,
                input + ":0"));
    signatures.put(name, new Signed(metadata, function));
  }

  private static TensorMap of(TensorMap inputs, String input, String output, float sign) {
    float[] values = requireNonNull(inputs.get(input)).toFloats();
    for (int i = 0; i < values.length; i++) {
      values[i] = sign * (values[i] / 2 + 2);
    }
    return TensorMap.of(output, Tensor.copyOf(Shape.of(values.length), values));
  }

  private static float[] parsed(TensorMap inputs) {
    List<byte[]> texts = requireNonNull(inputs.get("inputs")).toBytes();
    float[] values = new float[texts.size()];
    try {
      for (int i = 0; i < values.length; i++) {
        Feature x = Example.parseFrom(texts.get(i)).getFeatures().getFeatureMap().get("x");
        if (x == null) {
          throw InferenceException.invalidArgument("no feature x");
        }
        float value =
            x.getInt64List().getValueCount() > 0
                ? x.getInt64List().getValue(0)
                : x.getFloatList().getValueCount() > 0 ? x.getFloatList().getValue(0) : 0;
        values[i] = value / 2 + 2;
      }
    } catch (InvalidProtocolBufferException e) {
      throw InferenceException.invalidArgument("no example");
    }
    return values;
  }

  private static TensorMap scores(TensorMap inputs) {
    float[] values = parsed(inputs);
    return TensorMap.of("scores", Tensor.copyOf(Shape.of(values.length, 1), values));
  }

  private static TensorMap outputs(TensorMap inputs) {
    float[] values = parsed(inputs);
    return TensorMap.of("outputs", Tensor.copyOf(Shape.of(values.length), values));
  }

  private record Signed(ModelMetadata metadata, UnaryOperator<TensorMap> function)
      implements TensorModel {
    @Override
    public Predictor newPredictor() {
      return new Predictor() {
        @Override
        public TensorMap predict(TensorMap inputs, List<String> requestedOutputs) {
          return function.apply(inputs);
        }

        @Override
        public void close() {}
      };
    }

    @Override
    public void close() {}
  }

  private TensorModel main() {
    return requireNonNull(signatures.get("serving_default"));
  }

  @Override
  public ModelMetadata metadata() {
    return new ModelMetadata(
        id,
        "java_signed",
        main().metadata().inputs(),
        main().metadata().outputs(),
        16,
        Map.of("signature", "serving_default"));
  }

  @Override
  public Predictor newPredictor() {
    return main().newPredictor();
  }

  @Override
  public Map<String, TensorModel> signatures() {
    return signatures;
  }

  @Override
  public void close() {}
}
