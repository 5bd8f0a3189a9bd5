package dev.millrace.backend.tensorflow;

import static dev.millrace.backend.tensorflow.ProtobufFields.readFields;
import static dev.millrace.backend.tensorflow.ProtobufFields.readMessage;

import com.google.protobuf.ByteString;
import com.google.protobuf.CodedInputStream;
import com.google.protobuf.ExtensionRegistryLite;
import java.io.IOException;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.tensorflow.proto.TensorProto;

/**
 * One request of a client of TensorFlow Serving, as its {@code PredictionLog} records it ({@code
 * prediction_log.proto}, {@code predict.proto}, {@code classification.proto}, {@code input.proto}).
 * TensorFlow Java has no classes for these messages.
 *
 * @param kind how the model is called
 * @param signature the signature; empty for the usual one
 * @param inputs of a {@link Kind#PREDICT}
 * @param outputs which outputs a {@link Kind#PREDICT} is for; empty for all
 * @param examples of a {@link Kind#EXAMPLES}, each a {@code tf.Example} as bytes
 */
record PredictionLog(
    Kind kind,
    String signature,
    Map<String, TensorProto> inputs,
    List<String> outputs,
    List<ByteString> examples) {
  /** How the model is called. */
  enum Kind {
    /** With tensors. */
    PREDICT,
    /** With examples, to be classified or regressed. */
    EXAMPLES,
    /** In a way that is not run here: several at once, or the session itself. */
    OTHER
  }

  // PredictionLog
  private static final int CLASSIFY_LOG = 2;
  private static final int REGRESS_LOG = 3;
  private static final int PREDICT_LOG = 6;

  /** The first field of each log. */
  private static final int REQUEST = 1;

  // PredictRequest, ClassificationRequest, RegressionRequest, ModelSpec
  private static final int MODEL_SPEC = 1;
  private static final int SIGNATURE_NAME = 3;
  private static final int PREDICT_INPUTS = 2;
  private static final int OUTPUT_FILTER = 3;
  private static final int INPUT = 2;

  // Input, ExampleList, ExampleListWithContext, and the entry of a map
  private static final int EXAMPLE_LIST = 1;
  private static final int EXAMPLE_LIST_WITH_CONTEXT = 2;
  private static final int EXAMPLES = 1;
  private static final int CONTEXT = 2;
  private static final int KEY = 1;
  private static final int VALUE = 2;

  /**
   * Reads one record.
   *
   * @throws IOException if the bytes are not a PredictionLog
   */
  static PredictionLog parse(byte[] bytes) throws IOException {
    Reader reader = new Reader();
    readFields(CodedInputStream.newInstance(bytes), reader::logField);
    return reader.result();
  }

  private static final class Reader {
    private Kind kind = Kind.OTHER;
    private String signature = "";
    private final Map<String, TensorProto> inputs = new LinkedHashMap<>();
    private final List<String> outputs = new ArrayList<>();
    private final List<ByteString> examples = new ArrayList<>();
    private ByteString context = ByteString.EMPTY;

    boolean logField(int number, CodedInputStream in) throws IOException {
      switch (number) {
        case PREDICT_LOG -> {
          kind = Kind.PREDICT;
          readMessage(in, (field, log) -> request(field, log, this::predictField));
        }
        case CLASSIFY_LOG, REGRESS_LOG -> {
          kind = Kind.EXAMPLES;
          readMessage(in, (field, log) -> request(field, log, this::examplesField));
        }
        default -> {
          return false;
        }
      }
      return true;
    }

    private static boolean request(int number, CodedInputStream in, ProtobufFields.Field field)
        throws IOException {
      if (number == REQUEST) {
        readMessage(in, field);
        return true;
      }
      return false;
    }

    private boolean predictField(int number, CodedInputStream in) throws IOException {
      switch (number) {
        case MODEL_SPEC -> readMessage(in, this::modelSpecField);
        case PREDICT_INPUTS -> input(in);
        case OUTPUT_FILTER -> outputs.add(in.readString());
        default -> {
          return false;
        }
      }
      return true;
    }

    private void input(CodedInputStream in) throws IOException {
      String[] name = {""};
      TensorProto[] tensor = {TensorProto.getDefaultInstance()};
      readMessage(
          in,
          (number, entry) -> {
            switch (number) {
              case KEY -> name[0] = entry.readString();
              case VALUE ->
                  tensor[0] =
                      entry.readMessage(
                          TensorProto.parser(), ExtensionRegistryLite.getEmptyRegistry());
              default -> {
                return false;
              }
            }
            return true;
          });
      inputs.put(name[0], tensor[0]);
    }

    private boolean examplesField(int number, CodedInputStream in) throws IOException {
      switch (number) {
        case MODEL_SPEC -> readMessage(in, this::modelSpecField);
        case INPUT -> readMessage(in, this::inputField);
        default -> {
          return false;
        }
      }
      return true;
    }

    private boolean modelSpecField(int number, CodedInputStream in) throws IOException {
      if (number == SIGNATURE_NAME) {
        signature = in.readString();
        return true;
      }
      return false;
    }

    private boolean inputField(int number, CodedInputStream in) throws IOException {
      if (number == EXAMPLE_LIST || number == EXAMPLE_LIST_WITH_CONTEXT) {
        readMessage(in, this::exampleField);
        return true;
      }
      return false;
    }

    private boolean exampleField(int number, CodedInputStream in) throws IOException {
      switch (number) {
        case EXAMPLES -> examples.add(in.readBytes());
        case CONTEXT -> context = in.readBytes();
        default -> {
          return false;
        }
      }
      return true;
    }

    /** Two messages one after the other are one with the fields of both: that joins the context. */
    PredictionLog result() {
      return new PredictionLog(
          kind, signature, inputs, outputs, examples.stream().map(context::concat).toList());
    }
  }
}
