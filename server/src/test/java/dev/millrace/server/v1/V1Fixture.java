package dev.millrace.server.v1;

import static java.nio.charset.StandardCharsets.UTF_8;

import dev.millrace.api.InferenceRequest;
import dev.millrace.api.Parameters;
import dev.millrace.api.Ticker;
import dev.millrace.api.spi.Transformer;
import dev.millrace.runtime.FrontEnd;
import dev.millrace.runtime.LoadListener;
import dev.millrace.runtime.ModelServer;
import dev.millrace.runtime.Plugins;
import dev.millrace.runtime.RuntimeConfig;
import dev.millrace.server.http.HttpConfig;
import dev.millrace.server.http.RawClient;
import dev.millrace.server.http.RawClient.Response;
import dev.millrace.server.http.TestServer;
import io.micrometer.core.instrument.simple.SimpleMeterRegistry;
import java.io.IOException;
import java.nio.file.Path;
import java.util.List;

/** A server of the models of {@link FunctionBackend} by V1, and a client. */
final class V1Fixture implements AutoCloseable {
  private final Recorder recorder = new Recorder();
  private final ModelServer models;
  private final TestServer server;
  private final RawClient client;

  V1Fixture(Path repository) throws IOException {
    this(repository, V1Config.defaults());
  }

  V1Fixture(Path repository, V1Config config) throws IOException {
    models =
        ModelServer.create(
            RuntimeConfig.of(repository).withProcessors(1),
            Plugins.of(List.of(new FunctionBackend())),
            List.of(recorder),
            List.of(),
            new SimpleMeterRegistry(),
            Ticker.system(),
            FrontEnd.NONE);
    models.models().loadAll(LoadListener.NONE);
    server = new TestServer(HttpConfig.defaults(), new V1Routes(models, config));
    client = server.connect();
  }

  /** Stands before every model: lets requests through, and remembers the last one's parameters. */
  private static final class Recorder implements Transformer {
    private volatile Parameters parameters = Parameters.empty();

    @Override
    public String name() {
      return "recorder";
    }

    @Override
    public boolean mayBlock() {
      return false;
    }

    @Override
    public InferenceRequest preprocess(InferenceRequest request) {
      parameters = request.parameters();
      return request;
    }
  }

  /** The parameters that the last request to a model had. */
  Parameters lastParameters() {
    return recorder.parameters;
  }

  ModelServer models() {
    return models;
  }

  Response get(String path) throws IOException {
    return client.get(path).read();
  }

  /** Posts a body, in which {@code '} stands for {@code "}. */
  Response post(String path, String body, String... headers) throws IOException {
    return postBytes(path, body.replace('\'', '"').getBytes(UTF_8), headers);
  }

  Response postBytes(String path, byte[] body, String... headers) throws IOException {
    StringBuilder head = new StringBuilder("POST " + path + " HTTP/1.1\r\nHost: h\r\n");
    for (String header : headers) {
      head.append(header).append("\r\n");
    }
    client.send(head + "Content-Length: " + body.length + "\r\n\r\n");
    return client.send(body).read();
  }

  Response predict(String model, String body) throws IOException {
    return post("/v1/models/" + model + ":predict", body);
  }

  @Override
  public void close() throws IOException {
    client.close();
    server.close();
    models.close();
  }
}
