package dev.millrace.runtime;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.millrace.api.ErrorCode;
import dev.millrace.api.InferenceException;
import dev.millrace.api.spi.Backend;
import java.io.IOException;
import java.io.OutputStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.jar.JarEntry;
import java.util.jar.JarOutputStream;
import javax.tools.ToolProvider;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class BackendsTest {
  @TempDir private Path root;

  /** A jar with a backend that says what its library says, and that library. */
  private void plugin(String name, String word) throws IOException {
    Path sources = root.resolve("src-" + name);
    Path library =
        Trees.write(
            sources,
            "lib/Library.java",
            "package lib; public class Library { public static String word() { return \"%s\"; } }"
                .formatted(word));
    // Shadows a class of the server that this test's class path has.
    Path shadow =
        Trees.write(
            sources,
            "dev/millrace/runtime/Versions.java",
            "package dev.millrace.runtime; public class Versions {}");
    Path backend =
        Trees.write(
            sources,
            "plug/Plug.java",
            """
            package plug;
            import dev.millrace.api.spi.*;
            public class Plug implements Backend {
              private final ClassLoader context = Thread.currentThread().getContextClassLoader();
              public String name() { return "%s"; }
              public String modelFiles() {
                return lib.Library.word()
                    + " " + (dev.millrace.runtime.Versions.class.getClassLoader()
                        == getClass().getClassLoader())
                    + " " + (context == getClass().getClassLoader())
                    + " " + sees("dev.millrace.runtime.ModelServer")
                    + " " + sees("org.slf4j.Logger");
              }
              private boolean sees(String type) {
                try {
                  return Class.forName(type, false, getClass().getClassLoader()) != null;
                } catch (ClassNotFoundException e) {
                  return false;
                }
              }
              public java.util.Optional<java.nio.file.Path> findModel(java.nio.file.Path path) {
                return java.util.Optional.empty();
              }
              public Servable load(ModelSource source) { throw new IllegalStateException(); }
            }
            """
                .formatted(name));
    Path classes = Files.createDirectories(root.resolve("classes-" + name));
    int result =
        ToolProvider.getSystemJavaCompiler()
            .run(
                null,
                null,
                null,
                "-proc:none",
                "-cp",
                System.getProperty("java.class.path"),
                "-d",
                classes.toString(),
                library.toString(),
                shadow.toString(),
                backend.toString());
    assertThat(result).isZero();
    Trees.write(classes, "META-INF/services/dev.millrace.api.spi.Backend", "plug.Plug\n");
    jar(classes, Files.createDirectories(root.resolve("plugins/" + name)).resolve("plug.jar"));
  }

  private static void jar(Path classes, Path jar) throws IOException {
    try (OutputStream file = Files.newOutputStream(jar);
        JarOutputStream out = new JarOutputStream(file);
        var paths = Files.walk(classes)) {
      for (Path path : paths.filter(Files::isRegularFile).toList()) {
        out.putNextEntry(new JarEntry(classes.relativize(path).toString()));
        Files.copy(path, out);
        out.closeEntry();
      }
    }
  }

  @Test
  void plugins_haveClassesOfTheirOwn_andShareTheApi() throws IOException {
    plugin("a", "old");
    plugin("b", "new");
    Trees.write(root, "plugins/readme.txt", "not a plug-in");
    Files.createDirectories(root.resolve("plugins/empty"));
    List<Backend> backends = Backends.inDirectory(root.resolve("plugins"));
    assertThat(backends).extracting(Backend::name).containsExactly("a", "b");
    // Its own library, its own copy first, the context loader, no server, SLF4J.
    assertThat(backends.get(0).modelFiles()).isEqualTo("old true true false true");
    assertThat(backends.get(1).modelFiles()).isEqualTo("new true true false true");
    assertThat(backends.get(0).getClass().getClassLoader())
        .isNotSameAs(backends.get(1).getClass().getClassLoader());
    assertThat(backends.get(0).devices()).isNotEmpty();
  }

  @Test
  void directoryThatIsNotThere_hasNone() {
    assertThat(Backends.inDirectory(root.resolve("plugins"))).isEmpty();
  }

  @Test
  void pluginThatDoesNotLoad_isNamed() throws IOException {
    Path classes = Files.createDirectories(root.resolve("classes"));
    Trees.write(classes, "META-INF/services/dev.millrace.api.spi.Backend", "plug.Gone\n");
    jar(classes, Files.createDirectories(root.resolve("plugins/bad")).resolve("plug.jar"));
    assertThatThrownBy(() -> Backends.inDirectory(root.resolve("plugins")))
        .isInstanceOfSatisfying(
            InferenceException.class,
            e -> assertThat(e.code()).isEqualTo(ErrorCode.FAILED_PRECONDITION))
        .hasMessageContaining("plugins/bad: the plug-in does not load");
  }

  @Test
  void classPath_hasNoBackendHere() {
    assertThat(Backends.onClassPath()).isEmpty();
  }
}
