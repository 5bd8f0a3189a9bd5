package dev.millrace.backend.tensorflow;

import static java.nio.charset.StandardCharsets.US_ASCII;

import com.google.protobuf.CodedInputStream;
import com.google.protobuf.InvalidProtocolBufferException;
import dev.millrace.api.ErrorCode;
import dev.millrace.api.InferenceException;
import java.io.BufferedInputStream;
import java.io.IOException;
import java.io.InputStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.HashSet;
import java.util.List;
import java.util.Set;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;

/**
 * A SavedModel on disk: {@code saved_model.pb}, usually {@code variables/}, sometimes {@code
 * assets/} and {@code assets.extra/}. Says what is wrong with it before the engine does, in words
 * of protobuf and of its own sources.
 */
record SavedModelDirectory(Path path) {
  static final String FILE_NAME = "saved_model.pb";

  /** What Triton calls the directory of a version's model. */
  static final String TRITON_NAME = "model.savedmodel";

  static final String VARIABLES = "variables";

  private static final String LFS_POINTER = "version https://git-lfs.github.com/spec/";

  /** Whether the names in a directory are those of a SavedModel, or of one with another name. */
  static boolean isIn(Path directory) {
    return Files.exists(directory.resolve(FILE_NAME))
        || (Files.isDirectory(directory.resolve(VARIABLES)) && !graphs(directory).isEmpty());
  }

  private static List<Path> graphs(Path directory) {
    try (Stream<Path> files = Files.list(directory)) {
      return files
          .filter(file -> String.valueOf(file.getFileName()).endsWith(".pb"))
          .sorted()
          .toList();
    } catch (IOException e) {
      throw new InferenceException(
          ErrorCode.FAILED_PRECONDITION, "%s cannot be read: %s".formatted(directory, e), e);
    }
  }

  /**
   * The graph with exactly these tags, of which the parts that are needed to restore it are there.
   *
   * @throws InferenceException FAILED_PRECONDITION that says what is missing or broken
   */
  MetaGraph graph(List<String> tags) {
    List<MetaGraph> graphs = graphs();
    Set<String> wanted = new HashSet<>(tags);
    MetaGraph graph =
        graphs.stream()
            .filter(candidate -> wanted.equals(new HashSet<>(candidate.tags())))
            .findFirst()
            .orElseThrow(() ->
                failure(
                    path,
                    "no graph is tagged %s; there are %s"
                        .formatted(tags, graphs.stream().map(MetaGraph::tags).toList()),
                    null));
    Path index = path.resolve(VARIABLES).resolve("variables.index");
    if (graph.restoresVariables() && !Files.exists(index)) {
      throw failure(
          path,
          Files.isDirectory(path.resolve(VARIABLES))
              ? "the graph has variables, and variables/variables.index is missing"
              : "the graph has variables, and the directory variables/ is missing",
          null);
    }
    return graph;
  }

  private List<MetaGraph> graphs() {
    Path file = path.resolve(FILE_NAME);
    if (!Files.isRegularFile(file)) {
      List<Path> others = graphs(path);
      throw failure(
          file,
          others.isEmpty()
              ? "there is no such file"
              : "there is no such file; TensorFlow knows %s by no other name"
                  .formatted(others.getFirst().getFileName()),
          null);
    }
    try (InputStream in = new BufferedInputStream(Files.newInputStream(file), 1 << 16)) {
      in.mark(LFS_POINTER.length());
      String start = new String(in.readNBytes(LFS_POINTER.length()), US_ASCII);
      if (start.isEmpty()) {
        throw failure(file, "the file is empty", null);
      }
      if (start.equals(LFS_POINTER)) {
        throw failure(file, "this is a Git LFS pointer; fetch the model with 'git lfs pull'", null);
      }
      in.reset();
      return MetaGraph.ofSavedModel(CodedInputStream.newInstance(in));
    } catch (InvalidProtocolBufferException e) {
      throw failure(
          file, "this is not a SavedModel, or not a whole one (%s)".formatted(e.getMessage()), e);
    } catch (IOException e) {
      throw failure(file, "the file cannot be read (%s)".formatted(e.getMessage()), e);
    }
  }

  private static InferenceException failure(Path file, String what, @Nullable Throwable cause) {
    return new InferenceException(ErrorCode.FAILED_PRECONDITION, file + ": " + what, cause);
  }
}
