package dev.millrace.server.grpc;

import dev.millrace.api.InferenceException;
import dev.millrace.api.Parameters;
import dev.millrace.proto.inference.InferParameter;
import dev.millrace.proto.inference.ModelRepositoryParameter;
import dev.millrace.server.v2.RequestLimits;
import java.util.LinkedHashMap;
import java.util.Map;

/** Free keys and values between the protocol's form and ours. */
final class GrpcParameters {
  private GrpcParameters() {}

  /**
   * The parameters of a request.
   *
   * @throws InferenceException INVALID_ARGUMENT for one without a value, for a reserved key, and
   *     for too many
   */
  static Parameters read(Map<String, InferParameter> wire) {
    if (wire.isEmpty()) {
      return Parameters.empty();
    }
    RequestLimits.checkCount("parameters", wire.size());
    Map<String, Object> values = new LinkedHashMap<>();
    wire.forEach((key, parameter) -> {
      if (!key.startsWith("triton_")) {
        values.put(key, value(key, parameter));
      } else if (!key.equals("triton_enable_empty_final_response")) {
        throw InferenceException.invalidArgument(
            "parameter keys starting with 'triton_' are reserved for Triton usage and should not be specified.");
      }
    });
    return Parameters.copyOf(values);
  }

  private static Object value(String key, InferParameter parameter) {
    return switch (parameter.getParameterChoiceCase()) {
      case BOOL_PARAM -> parameter.getBoolParam();
      case INT64_PARAM -> parameter.getInt64Param();
      case STRING_PARAM -> parameter.getStringParam();
      case DOUBLE_PARAM -> parameter.getDoubleParam();
      case UINT64_PARAM -> parameter.getUint64Param();
      case PARAMETERCHOICE_NOT_SET -> throw noValue(key);
    };
  }

  private static InferenceException noValue(String key) {
    return InferenceException.invalidArgument("parameter '%s' has no value".formatted(key));
  }

  /** The parameter of a response. */
  static InferParameter write(Object value) {
    InferParameter.Builder parameter = InferParameter.newBuilder();
    switch (value) {
      case String text -> parameter.setStringParam(text);
      case Boolean flag -> parameter.setBoolParam(flag);
      case Long number -> parameter.setInt64Param(number);
      case Double number -> parameter.setDoubleParam(number);
      default -> throw new IllegalArgumentException("not a parameter: " + value.getClass());
    }
    return parameter.build();
  }

  /**
   * The parameters of a request to load a model; files are there by name only.
   *
   * @throws InferenceException INVALID_ARGUMENT for one without a value
   */
  static Map<String, Object> readRepository(Map<String, ModelRepositoryParameter> wire) {
    Map<String, Object> values = new LinkedHashMap<>();
    wire.forEach((key, parameter) ->
        values.put(
            key,
            switch (parameter.getParameterChoiceCase()) {
              case BOOL_PARAM -> parameter.getBoolParam();
              case INT64_PARAM -> parameter.getInt64Param();
              case STRING_PARAM -> parameter.getStringParam();
              case BYTES_PARAM -> "";
              case PARAMETERCHOICE_NOT_SET -> throw noValue(key);
            }));
    return values;
  }
}
