package dev.millrace.server;

import static org.assertj.core.api.Assertions.assertThat;

import dev.millrace.api.InferenceRequest;
import dev.millrace.api.spi.Transformer;
import dev.millrace.api.spi.TransformerFactory;
import dev.millrace.api.spi.TransformerSource;
import dev.millrace.proto.inference.GRPCInferenceServiceGrpc;
import dev.millrace.proto.inference.InferParameter;
import dev.millrace.runtime.Plugins;
import dev.millrace.testing.TensorLeakExtension;
import io.grpc.ManagedChannel;
import io.grpc.Metadata;
import io.grpc.netty.NettyChannelBuilder;
import io.grpc.stub.MetadataUtils;
import java.io.IOException;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.ExtendWith;
import org.junit.jupiter.api.io.TempDir;

/** What a step sees of a request beside its tensors, by V2; by V1, see the tests there. */
@ExtendWith(TensorLeakExtension.class)
class StepsSeeHeadersTest {
  /** Remembers the last request's parameters. */
  private static final class Recorder implements TransformerFactory, Transformer {
    private volatile Map<String, Object> parameters = Map.of();

    @Override
    public String name() {
      return "recorder";
    }

    @Override
    public Transformer create(TransformerSource source) {
      return this;
    }

    @Override
    public boolean mayBlock() {
      return false;
    }

    @Override
    public InferenceRequest preprocess(InferenceRequest request) {
      parameters = request.parameters().asMap();
      return request;
    }
  }

  @Test
  void headersAndMetadata_areParameters_thatNoClientCanForge(@TempDir Path directory)
      throws IOException, InterruptedException {
    Path model = SumModels.write(directory, "sum", "");
    Files.writeString(model.resolve("model.yaml"), "transformers: [recorder]");
    Recorder recorder = new Recorder();
    Plugins plugins = new Plugins(List.of(new SumBackend()), List.of(recorder));
    try (MillraceServer server =
            MillraceServer.start(ServerConfig.of(model).onFreePorts(), plugins);
        HttpClient client = HttpClient.newHttpClient()) {
      HttpRequest rest =
          HttpRequest.newBuilder(
                  URI.create("http://localhost:" + server.port() + "/v2/models/sum/infer"))
              .header("X-Tenant", "me")
              .POST(HttpRequest.BodyPublishers.ofString(SumModels.REQUEST))
              .build();
      assertThat(client.send(rest, HttpResponse.BodyHandlers.ofString()).statusCode())
          .isEqualTo(200);
      assertThat(recorder.parameters)
          .containsEntry("header.x-tenant", "me")
          .doesNotContainKeys("header.connection", "header.content-length");

      ManagedChannel channel =
          NettyChannelBuilder.forAddress("localhost", server.port()).usePlaintext().build();
      Metadata metadata = new Metadata();
      metadata.put(Metadata.Key.of("x-tenant", Metadata.ASCII_STRING_MARSHALLER), "you");
      try {
        var _ =
            GRPCInferenceServiceGrpc.newBlockingStub(channel)
                .withInterceptors(MetadataUtils.newAttachHeadersInterceptor(metadata))
                .modelInfer(
                    SumModels.grpcRequest().toBuilder()
                        .putParameters(
                            "header.x-role",
                            InferParameter.newBuilder().setStringParam("admin").build())
                        .build());
      } finally {
        channel.shutdownNow();
      }
      assertThat(recorder.parameters)
          .containsEntry("header.x-tenant", "you")
          .doesNotContainKeys("header.x-role", "header.content-type");
    }
  }
}
