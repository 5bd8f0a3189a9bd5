package dev.millrace.runtime;

import static org.assertj.core.api.Assertions.assertThat;

import dev.millrace.api.ErrorCode;
import dev.millrace.api.InferenceRequest;
import dev.millrace.api.InferenceResponse;
import dev.millrace.api.ModelId;
import dev.millrace.api.Shape;
import dev.millrace.api.Tensor;
import dev.millrace.api.TensorMap;
import dev.millrace.api.Ticker;
import dev.millrace.api.spi.Backend;
import dev.millrace.api.spi.InferenceLogger;
import dev.millrace.api.spi.TransformerFactory;
import dev.millrace.testing.TensorLeakExtension;
import io.micrometer.core.instrument.simple.SimpleMeterRegistry;
import java.io.IOException;
import java.io.OutputStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.jar.JarEntry;
import java.util.jar.JarOutputStream;
import java.util.stream.Stream;
import javax.tools.ToolProvider;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.ExtendWith;
import org.junit.jupiter.api.io.TempDir;

/** {@code examples/extension}: built here, put in a directory as a jar, and served. */
@ExtendWith(TensorLeakExtension.class)
class ExtensionTest {
  private static final Path EXAMPLE = Path.of("../examples/extension");

  @TempDir private Path root;

  /** Puts the example into {@code extensions}. */
  private Path jar() throws IOException {
    Path classes = Files.createDirectories(root.resolve("classes"));
    List<String> arguments =
        new ArrayList<>(
            List.of(
                "-proc:none",
                "-Xlint:all",
                "-Werror",
                "-cp",
                System.getProperty("java.class.path"),
                "-d",
                classes.toString()));
    try (Stream<Path> sources = Files.walk(EXAMPLE.resolve("src/main/java"))) {
      sources.filter(Files::isRegularFile).forEach(file -> arguments.add(file.toString()));
    }
    int result =
        ToolProvider.getSystemJavaCompiler()
            .run(null, null, null, arguments.toArray(String[]::new));
    assertThat(result).isZero();
    Path jar = Files.createDirectories(root.resolve("extensions")).resolve("sentiment.jar");
    try (OutputStream file = Files.newOutputStream(jar);
        JarOutputStream out = new JarOutputStream(file)) {
      add(out, classes);
      add(out, EXAMPLE.resolve("src/main/resources"));
    }
    return jar;
  }

  private static void add(JarOutputStream out, Path directory) throws IOException {
    try (Stream<Path> files = Files.walk(directory)) {
      for (Path file : files.filter(Files::isRegularFile).toList()) {
        out.putNextEntry(new JarEntry(directory.relativize(file).toString().replace('\\', '/')));
        Files.copy(file, out);
        out.closeEntry();
      }
    }
  }

  private static InferenceRequest texts(String... texts) {
    return InferenceRequest.of(
        "sentiment", TensorMap.of("text", Tensor.copyOf(Shape.of(texts.length), texts)));
  }

  @Test
  void jar_bringsAStepAndAPredictor_isolated() throws IOException {
    assertThat(jar()).exists();
    Plugins plugins = Plugins.inDirectory(root.resolve("extensions"));
    assertThat(plugins.backends()).extracting(Backend::name).containsExactly("keywords");
    assertThat(plugins.transformers())
        .extracting(TransformerFactory::name)
        .containsExactly("redact");
    ClassLoader own = plugins.transformers().getFirst().getClass().getClassLoader();
    assertThat(own)
        .isSameAs(plugins.backends().getFirst().getClass().getClassLoader())
        .isNotSameAs(getClass().getClassLoader());

    List<String> seen = new CopyOnWriteArrayList<>();
    InferenceLogger logger =
        entry -> {
          if (entry.side() == InferenceLogger.Side.MODEL_INPUTS) {
            seen.addAll(entry.tensors().tensor(0).toStrings());
          }
        };
    try (ModelServer server =
        ModelServer.create(
            RuntimeConfig.of(EXAMPLE.resolve("sentiment")).withProcessors(1),
            plugins,
            List.of(),
            List.of(logger),
            new SimpleMeterRegistry(),
            Ticker.system(),
            FrontEnd.NONE)) {
      server.models().loadAll(LoadListener.NONE);
      assertThat(server.models().describe(ModelId.latest("sentiment")).metadata().platform())
          .isEqualTo("keywords");
      try (InferenceResponse response =
          server.infer(texts("A great day, ann@example.org!", "bad, bad")).join()) {
        assertThat(response.outputs().tensor(0).toFloats()).containsExactly(2, -2);
      }
      assertThat(seen).containsExactly("A great day, <mail>", "bad, bad");
      Requests.assertFails(
          server.infer(
              InferenceRequest.of(
                  "sentiment", TensorMap.of("txt", Tensor.copyOf(Shape.of(1), "a")))),
          ErrorCode.INVALID_ARGUMENT,
          "unexpected inference input 'txt'");
    }
  }

  @Test
  void folderOfJars_isOneExtension() throws IOException {
    Path jar = jar();
    Path folder = Files.createDirectories(root.resolve("more/sentiment"));
    Files.copy(jar, folder.resolve("sentiment.jar"));
    assertThat(Plugins.inDirectory(root.resolve("more")).transformers()).hasSize(1);
    assertThat(Plugins.inFolder(folder).backends()).hasSize(1);
    assertThat(Plugins.inFolder(root.resolve("none")).backends()).isEmpty();
  }
}
