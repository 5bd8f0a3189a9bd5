package dev.millrace.benchmarks;

import dev.millrace.api.Shape;
import dev.millrace.api.Tensor;
import dev.millrace.api.TensorMap;
import dev.millrace.testing.OnnxModels;
import java.io.IOException;
import java.io.InputStream;
import java.util.Arrays;
import java.util.Locale;
import java.util.Random;

/** The models of the load run, each with the one row that every request asks about. */
public enum LoadModel {
  /** Adds and subtracts 16 integers: what is measured is everything but the model. */
  SIMPLE {
    @Override
    public byte[] file() {
      return OnnxModels.simple();
    }

    @Override
    public TensorMap row() {
      int[] numbers = new int[16];
      int[] ones = new int[16];
      Arrays.setAll(numbers, i -> i);
      Arrays.fill(ones, 1);
      return TensorMap.of(
          "INPUT0", Tensor.copyOf(Shape.of(1, 16), numbers),
          "INPUT1", Tensor.copyOf(Shape.of(1, 16), ones));
    }
  },

  /** {@link DenseModel}: about 0.1 ms of one CPU for a row. */
  DENSE {
    @Override
    public byte[] file() {
      return DenseModel.file();
    }

    @Override
    public TensorMap row() {
      Random random = new Random(7);
      float[] features = new float[DenseModel.NUMBERS];
      for (int i = 0; i < features.length; i++) {
        features[i] = random.nextInt(-2000, 2000) / 1000f;
      }
      return TensorMap.of("INPUT0", Tensor.copyOf(Shape.of(1, features.length), features));
    }
  },

  /** The quantised all-MiniLM-L6-v2, with a sentence of 32 tokens. */
  MINILM {
    private static final int TOKENS = 32;

    @Override
    public byte[] file() throws IOException {
      try (InputStream file = LoadModel.class.getResourceAsStream("/all-minilm-l6-v2-q.onnx")) {
        if (file == null) {
          throw new IOException("the MiniLM model is not on the class path");
        }
        return file.readAllBytes();
      }
    }

    @Override
    public TensorMap row() {
      Random random = new Random(7);
      long[] ids = new long[TOKENS];
      long[] mask = new long[TOKENS];
      Arrays.setAll(ids, i -> random.nextLong(1996, 29000));
      ids[0] = 101;
      ids[TOKENS - 1] = 102;
      Arrays.fill(mask, 1);
      Shape shape = Shape.of(1, TOKENS);
      return TensorMap.builder()
          .put("input_ids", Tensor.copyOf(shape, ids))
          .put("attention_mask", Tensor.copyOf(shape, mask))
          .put("token_type_ids", Tensor.copyOf(shape, new long[TOKENS]))
          .build();
    }
  };

  /** The ONNX file. */
  public abstract byte[] file() throws IOException;

  /** The inputs of one request, of one row; the caller's. */
  public abstract TensorMap row();

  /** Under which it is served. */
  public String servedName() {
    return name().toLowerCase(Locale.ROOT);
  }
}
