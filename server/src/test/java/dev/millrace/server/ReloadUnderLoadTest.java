package dev.millrace.server;

import static org.assertj.core.api.Assertions.assertThat;

import dev.millrace.api.ModelId;
import dev.millrace.runtime.Backends;
import dev.millrace.server.RestClient.Answer;
import dev.millrace.testing.OnnxModels;
import dev.millrace.testing.TensorLeakExtension;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.concurrent.atomic.AtomicLong;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.extension.ExtendWith;
import org.junit.jupiter.api.io.TempDir;

/** A model that is loaded anew while it is in use: nobody notices, and nothing stays behind. */
@ExtendWith(TensorLeakExtension.class)
@Timeout(value = 5, unit = TimeUnit.MINUTES, threadMode = Timeout.ThreadMode.SEPARATE_THREAD)
class ReloadUnderLoadTest {
  private static final int RELOADS = 100;

  /** Bytes; 75 models that were kept would be 300 MB. */
  private static final long MOST_GROWN = 100L << 20;

  /** Weights of the model, 4 MB: a model that is not freed shows in the memory of the process. */
  private static final int WIDTH = 1024;

  @TempDir Path directory;

  @Test
  void hundredReloads_failNoRequestAndKeepNoMemory() throws Exception {
    Files.write(directory.resolve("wide.onnx"), OnnxModels.perceptron(WIDTH, WIDTH, 1));
    ServerConfig config = ServerConfig.of(directory.resolve("wide.onnx")).onFreePorts();
    try (MillraceServer server = MillraceServer.start(config, Backends.onClassPath());
        ExecutorService threads = Executors.newFixedThreadPool(4)) {
      String input =
          server
              .models()
              .models()
              .describe(ModelId.latest("wide"))
              .metadata()
              .inputs()
              .getFirst()
              .name();
      String body =
          "{\"inputs\":[{\"name\":\"%s\",\"datatype\":\"FP32\",\"shape\":[1,%d],\"data\":[%s]}]}"
              .formatted(input, WIDTH, "1,".repeat(WIDTH - 1) + "1");
      AtomicBoolean enough = new AtomicBoolean();
      AtomicLong answered = new AtomicLong();
      List<Future<Void>> clients = new ArrayList<>();
      for (int i = 0; i < 4; i++) {
        clients.add(
            threads.submit(() -> {
              load(server.port(), body, enough, answered);
              return null;
            }));
      }
      reload(server, RELOADS / 4); // the allocators have what they keep
      long grown = grown(server);
      // A young process grows by itself; models that were kept would be there each time.
      for (int again = 0; again < 2 && grown >= MOST_GROWN; again++) {
        grown = grown(server);
      }
      enough.set(true);
      for (Future<Void> client : clients) {
        client.get();
      }
      assertThat(answered.get()).isGreaterThan(RELOADS);
      assertThat(grown).isLessThan(MOST_GROWN);
    }
  }

  /** By how much this process has grown after three quarters of the reloads. */
  private static long grown(MillraceServer server) throws IOException {
    long before = residentBytes();
    reload(server, RELOADS - RELOADS / 4);
    return residentBytes() - before;
  }

  private static void reload(MillraceServer server, int times) {
    for (int i = 0; i < times; i++) {
      server.models().models().load("wide", Map.of()).join();
    }
  }

  private static void load(int port, String body, AtomicBoolean enough, AtomicLong answered)
      throws IOException {
    try (RestClient client = new RestClient(port)) {
      while (!enough.get()) {
        Answer answer = client.call("POST", "/v2/models/wide/infer", body);
        assertThat(answer.status()).as(answer.body()).isEqualTo(200);
        answered.incrementAndGet();
      }
    }
  }

  /** Memory of this process that is in RAM, its heap made as small as it gets. */
  private static long residentBytes() throws IOException {
    System.gc();
    for (String line : Files.readAllLines(Path.of("/proc/self/status"))) {
      if (line.startsWith("VmRSS:")) {
        return Long.parseLong(line.replaceAll("\\D", "")) << 10;
      }
    }
    throw new AssertionError("this system does not say how much memory a process has");
  }
}
