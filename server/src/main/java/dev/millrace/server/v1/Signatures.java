package dev.millrace.server.v1;

import dev.millrace.api.InferenceException;
import dev.millrace.api.ModelMetadata;
import dev.millrace.runtime.ModelLease;
import dev.millrace.server.json.JsonSource;
import io.netty.buffer.ByteBuf;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import tools.jackson.core.JacksonException;
import tools.jackson.core.JsonParser;
import tools.jackson.core.JsonToken;

/**
 * The ways in which a model can be called, by the names that clients ask for them by. A model that
 * does not know any has one, which is the model itself.
 *
 * @param all in the model's order; exactly one is the main one
 */
record Signatures(List<Signature> all) {
  /** The property of a model with the name of the signature that it is called by. */
  private static final String PROPERTY = "signature";

  /** The name of a signature where nobody says otherwise. */
  static final String DEFAULT = "serving_default";

  static final String PREDICT_METHOD = "tensorflow/serving/predict";
  static final String CLASSIFY_METHOD = "tensorflow/serving/classify";
  static final String REGRESS_METHOD = "tensorflow/serving/regress";

  Signatures {
    all = List.copyOf(all);
  }

  /** Of what is leased. */
  static Signatures of(ModelLease lease) {
    String main = name(lease.metadata());
    List<Signature> all = new ArrayList<>();
    lease
        .signatures()
        .forEach((name, metadata) -> all.add(new Signature(name, metadata, name.equals(main))));
    if (all.stream().noneMatch(Signature::isMain)) {
      all.addFirst(of(lease.metadata()));
    }
    return new Signatures(all);
  }

  /** The signature that a model itself is. */
  static Signature of(ModelMetadata metadata) {
    return new Signature(name(metadata), metadata, true);
  }

  private static String name(ModelMetadata metadata) {
    return metadata.properties().getOrDefault(PROPERTY, DEFAULT);
  }

  Signature main() {
    return all.stream().filter(Signature::isMain).findFirst().orElseThrow();
  }

  /** The one of that name, or the main one if it is empty. */
  Optional<Signature> find(String name) {
    return name.isEmpty()
        ? Optional.of(main())
        : all.stream().filter(signature -> signature.name().equals(name)).findFirst();
  }

  /**
   * The one that a body names by {@code signature_name}. A model that has several is asked for so
   * seldom by another than its own that a body is read as far as the name, and then from the start.
   *
   * @param body stays the caller's; what is wrong with it is not told here
   * @throws InferenceException INVALID_ARGUMENT if there is none of that name
   */
  Signature namedIn(ByteBuf body) {
    if (all.size() == 1) {
      return main(); // the reader of the body checks the name
    }
    String name = nameIn(body);
    return find(name).orElseThrow(() -> unknown(name));
  }

  private static String nameIn(ByteBuf body) {
    JsonSource source = JsonSource.of(body, body.readableBytes());
    try (JsonParser parser = source.parser()) {
      if (parser.nextToken() != JsonToken.START_OBJECT) {
        return "";
      }
      for (String name = parser.nextName(); name != null; name = parser.nextName()) {
        JsonToken value = parser.nextToken();
        if (name.equals("signature_name") && value == JsonToken.VALUE_STRING) {
          return parser.getString();
        }
        parser.skipChildren();
      }
      return "";
    } catch (JacksonException e) {
      return "";
    }
  }

  /** The error of REST for a name that no signature has. */
  static InferenceException unknown(String name) {
    return InferenceException.invalidArgument(
        "Serving signature name: \"%s\" not found in signature def"
            .formatted(V1Errors.shortened(name)));
  }
}
