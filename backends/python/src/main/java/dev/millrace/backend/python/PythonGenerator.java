package dev.millrace.backend.python;

import dev.millrace.api.InferenceException;
import dev.millrace.api.ModelMetadata;
import dev.millrace.api.spi.GenerationRequest;
import dev.millrace.api.spi.GenerationRequest.Operation;
import dev.millrace.api.spi.TextGenerator;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.util.EnumSet;
import java.util.Locale;
import java.util.Set;
import java.util.concurrent.Flow;
import java.util.concurrent.atomic.AtomicBoolean;
import org.jspecify.annotations.Nullable;

/** A script that is a language model. */
final class PythonGenerator implements TextGenerator {
  private final WorkerPool pool;
  private final ModelMetadata metadata;
  private final Set<Operation> operations = EnumSet.noneOf(Operation.class);

  /**
   * A model over a pool, which it takes over.
   *
   * @param operations as the worker names them, with commas between
   */
  PythonGenerator(WorkerPool pool, ModelMetadata metadata, String operations) {
    this.pool = pool;
    this.metadata = metadata;
    for (String operation : operations.split(",", -1)) {
      this.operations.add(Operation.valueOf(operation.toUpperCase(Locale.ROOT)));
    }
  }

  @Override
  public ModelMetadata metadata() {
    return metadata;
  }

  @Override
  public Set<Operation> operations() {
    return Set.copyOf(operations);
  }

  @Override
  public Flow.Publisher<Part> generate(GenerationRequest request) {
    if (!operations.contains(request.operation())) {
      throw InferenceException.invalidArgument(
          "the script of model '%s' answers %s only".formatted(metadata.id().name(), operations));
    }
    ByteBuffer body = ByteBuffer.allocate(request.body().remaining());
    body.put(request.body().duplicate()).flip();
    GenerationRequest own =
        new GenerationRequest(request.operation(), body, request.headers(), request.deadline());
    AtomicBoolean subscribed = new AtomicBoolean();
    return subscriber -> {
      if (subscribed.getAndSet(true)) {
        throw new IllegalStateException("an answer is for one subscriber");
      }
      new StreamCall<>(pool, new Generation(own), own.deadline(), subscriber).start();
    };
  }

  @Override
  public void close() {
    pool.close();
  }

  /** The request as frames, and its answer. */
  private record Generation(GenerationRequest request) implements StreamCall.Exchange<Part> {
    @Override
    public void begin(Connection connection) throws IOException {
      connection.generate(number(request.operation()), request.headers(), request.body());
    }

    @Override
    public @Nullable Part next(Connection connection) throws IOException, ScriptError {
      return connection.nextPart();
    }

    /** The number in frames. */
    private static int number(Operation operation) {
      return switch (operation) {
        case CHAT -> 0;
        case COMPLETION -> 1;
        case EMBEDDINGS -> 2;
      };
    }
  }
}
