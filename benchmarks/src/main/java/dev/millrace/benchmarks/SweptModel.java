package dev.millrace.benchmarks;

import dev.millrace.api.Shape;
import dev.millrace.api.Tensor;
import dev.millrace.api.TensorMap;
import dev.millrace.testing.OnnxModels;
import java.io.IOException;
import java.util.Locale;
import java.util.Random;

/**
 * The models that batching is measured with, each with the one row that every request asks about.
 */
public enum SweptModel {
  /**
   * A tiny perceptron, FP32[-1,32] -> FP32[-1,8]: microseconds, so that all cost is per request.
   */
  TINY {
    @Override
    public byte[] file() {
      return OnnxModels.perceptron(32, 64, 64, 8);
    }

    @Override
    public TensorMap row() {
      return numbers(Shape.of(1, 32));
    }
  },

  /**
   * A wide perceptron, FP32[-1,512] -> FP32[-1,512]: a run reads 16 MB of weights, for one row or
   * for many, so a batch wins a lot.
   */
  WIDE {
    @Override
    public byte[] file() {
      return OnnxModels.perceptron(512, 1536, 1536, 512);
    }

    @Override
    public TensorMap row() {
      return numbers(Shape.of(1, 512));
    }
  },

  /** {@link ConvolutionModel}: a batch wins nothing. */
  CONVOLUTION {
    @Override
    public byte[] file() {
      return ConvolutionModel.file();
    }

    @Override
    public TensorMap row() {
      return numbers(ConvolutionModel.ROW);
    }
  },

  /** As in {@link LoadModel}. */
  MINILM {
    @Override
    public byte[] file() throws IOException {
      return LoadModel.MINILM.file();
    }

    @Override
    public TensorMap row() {
      return LoadModel.MINILM.row();
    }
  };

  /** The ONNX file. */
  public abstract byte[] file() throws IOException;

  /** The inputs of one request, of one row; the caller's. */
  public abstract TensorMap row();

  /** In reports, and the first part of the names under which it is served. */
  public String shortName() {
    return name().toLowerCase(Locale.ROOT);
  }

  private static TensorMap numbers(Shape shape) {
    Random random = new Random(7);
    float[] numbers = new float[(int) shape.elementCount()];
    for (int i = 0; i < numbers.length; i++) {
      numbers[i] = random.nextFloat() - 0.5f;
    }
    return TensorMap.of("INPUT0", Tensor.copyOf(shape, numbers));
  }
}
