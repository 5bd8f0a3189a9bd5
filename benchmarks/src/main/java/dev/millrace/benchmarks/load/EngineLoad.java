package dev.millrace.benchmarks.load;

import ai.onnxruntime.OnnxTensor;
import ai.onnxruntime.OrtEnvironment;
import ai.onnxruntime.OrtException;
import ai.onnxruntime.OrtSession;
import dev.millrace.api.DataType;
import dev.millrace.api.Tensor;
import dev.millrace.api.TensorMap;
import dev.millrace.benchmarks.LoadModel;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.HashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;

/**
 * The engine alone: as many threads as asked for run one session of a model in this process, in
 * batches of one size whose inputs lie ready outside the heap.
 */
public final class EngineLoad {
  private EngineLoad() {}

  /**
   * As {@link EngineTrials#run}.
   *
   * @param args {@code MODEL best SECONDS} or {@code MODEL CALLERS THREADS BATCH SECONDS}
   */
  public static void main(String[] args) throws Exception {
    LoadModel model = LoadModel.valueOf(args[0].toUpperCase(Locale.ROOT));
    EngineTrials.run(setting -> open(model, setting), List.of(args).subList(1, args.length));
  }

  private static EngineTrials.Engine open(LoadModel model, EngineTrials.Setting setting)
      throws IOException, OrtException {
    OrtSession.SessionOptions options = new OrtSession.SessionOptions();
    options.setIntraOpNumThreads(setting.threadsOfOneRun());
    options.setInterOpNumThreads(1);
    OrtSession session = OrtEnvironment.getEnvironment().createSession(model.file(), options);
    return new EngineTrials.Engine() {
      @Override
      public EngineTrials.Caller newCaller() throws OrtException {
        return caller(session, inputs(model, setting.batch()));
      }

      @Override
      public void close() {
        try {
          session.close();
        } catch (OrtException e) {
          throw new IllegalStateException(e);
        }
        options.close();
      }
    };
  }

  private static EngineTrials.Caller caller(OrtSession session, Map<String, OnnxTensor> inputs) {
    return new EngineTrials.Caller() {
      @Override
      public void run() throws OrtException {
        session.run(inputs).close();
      }

      @Override
      public void close() {
        inputs.values().forEach(OnnxTensor::close);
      }
    };
  }

  private static Map<String, OnnxTensor> inputs(LoadModel model, int batch) throws OrtException {
    Map<String, OnnxTensor> inputs = new HashMap<>();
    try (TensorMap row = model.row()) {
      for (int i = 0; i < row.size(); i++) {
        inputs.put(row.name(i), repeat(row.tensor(i), batch));
      }
    }
    return inputs;
  }

  private static OnnxTensor repeat(Tensor row, int batch) throws OrtException {
    ByteBuffer bytes =
        ByteBuffer.allocateDirect(row.byteSize() * batch).order(ByteOrder.nativeOrder());
    for (int i = 0; i < batch; i++) {
      bytes.put(row.data());
    }
    bytes.flip();
    long[] shape = row.shape().withDim(0, batch).dims();
    OrtEnvironment environment = OrtEnvironment.getEnvironment();
    if (row.dataType() == DataType.INT64) {
      return OnnxTensor.createTensor(environment, bytes.asLongBuffer(), shape);
    }
    if (row.dataType() == DataType.INT32) {
      return OnnxTensor.createTensor(environment, bytes.asIntBuffer(), shape);
    }
    return OnnxTensor.createTensor(environment, bytes.asFloatBuffer(), shape);
  }
}
