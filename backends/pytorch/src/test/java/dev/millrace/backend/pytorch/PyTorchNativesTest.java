package dev.millrace.backend.pytorch;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Properties;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class PyTorchNativesTest {
  private static Properties contents(String classifier, String flavor, String libraries) {
    Properties contents = new Properties();
    contents.setProperty("classifier", classifier);
    contents.setProperty("flavor", flavor);
    contents.setProperty("libraries", libraries);
    return contents;
  }

  @Test
  void machine_isNamedAsTheJarsNameIt() {
    assertThat(PyTorchNatives.machine("Linux", "amd64")).isEqualTo("linux-x86_64");
    assertThat(PyTorchNatives.machine("Mac OS X", "aarch64")).isEqualTo("osx-aarch64");
    assertThat(PyTorchNatives.machine("Windows 11", "amd64")).isEqualTo("win-x86_64");
  }

  @Test
  void resources_areThoseThatTheJarLists() {
    List<String> resources =
        PyTorchNatives.resources(
            contents("linux-x86_64", "cpu", "libc10.so,libtorch.so"), "linux-x86_64");
    assertThat(resources)
        .startsWith("/pytorch/cpu/linux-x86_64/libc10.so", "/pytorch/cpu/linux-x86_64/libtorch.so")
        .last()
        .asString()
        .startsWith("/jnilib/linux-x86_64/cpu/");
  }

  @Test
  void jarOfAnotherMachine_isNamed() {
    assertThatThrownBy(() ->
            PyTorchNatives.resources(contents("linux-x86_64", "cpu", "libtorch.so"), "osx-aarch64"))
        .hasMessage(
            "there is no PyTorch for osx-aarch64: the jar of its libraries is for linux-x86_64");
  }

  @Test
  void buildForGpus_isKnownByItsFlavor_orItsLibrary(@TempDir Path directory) throws IOException {
    assertThat(PyTorchNatives.areForGpus()).isFalse();
    assertThat(PyTorchNatives.isForGpus(contents("linux-x86_64", "cpu", ""))).isFalse();
    assertThat(PyTorchNatives.isForGpus(contents("linux-x86_64", "cu124", ""))).isTrue();
    Properties old = contents("cu124-linux-x86_64", "", "libtorch.so");
    assertThat(PyTorchNatives.isForGpus(old)).isTrue();
    assertThat(PyTorchNatives.resources(old, "linux-x86_64"))
        .first()
        .isEqualTo("/pytorch/cu124/linux-x86_64/libtorch.so");
    assertThat(PyTorchNatives.hasCuda(directory)).isFalse();
    Files.createFile(directory.resolve(System.mapLibraryName("torch_cuda")));
    assertThat(PyTorchNatives.hasCuda(directory)).isTrue();
  }
}
