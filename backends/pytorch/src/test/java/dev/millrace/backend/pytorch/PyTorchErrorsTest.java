package dev.millrace.backend.pytorch;

import static org.assertj.core.api.Assertions.assertThat;

import ai.djl.engine.EngineException;
import dev.millrace.api.ErrorCode;
import org.junit.jupiter.api.Test;

class PyTorchErrorsTest {
  @Test
  void trace_isCutToWhatWasRaised() {
    assertThat(
            PyTorchErrors.cleaned(
                """
                The following operation failed in the TorchScript interpreter.
                Traceback of TorchScript, serialized code (most recent call last):
                  File "code/__torch__.py", line 7, in forward
                    return torch.linear(x, w)
                           ~~~~~~~~~~~~ <--- HERE

                Traceback of TorchScript, original code (most recent call last):
                  File "net.py", line 3, in forward
                    return f(x)
                RuntimeError: mat1 and mat2 shapes cannot be multiplied (1x2 and 64x32)
                """))
        .isEqualTo("mat1 and mat2 shapes cannot be multiplied (1x2 and 64x32)");
  }

  @Test
  void placesInTheEnginesSource_areLeftOut() {
    assertThat(
            PyTorchErrors.cleaned(
                "x INTERNAL ASSERT FAILED at \"/pytorch/aten/a.cpp\":12, please report a bug to PyTorch. Oh no\nException raised from f at /pytorch/b.cpp:3 (most recent call first):\nframe #0: 0x1"))
        .isEqualTo("x INTERNAL ASSERT FAILED Oh no");
  }

  @Test
  void failures_areToldApart() {
    assertThat(PyTorchErrors.ofRun(new EngineException("sizes differ")).code())
        .isEqualTo(ErrorCode.INVALID_ARGUMENT);
    assertThat(PyTorchErrors.ofRun(new EngineException("CUDA error: an illegal access")).code())
        .isEqualTo(ErrorCode.INTERNAL);
    assertThat(PyTorchErrors.ofRun(new EngineException("CUDA out of memory.")).code())
        .isEqualTo(ErrorCode.RESOURCE_EXHAUSTED);
    assertThat(PyTorchErrors.ofRun(new EngineException("0 INTERNAL ASSERT FAILED")).code())
        .isEqualTo(ErrorCode.INTERNAL);
    assertThat(
            PyTorchErrors.ofRun(
                    new EngineException(
                        "[enforce fail at alloc_cpu.cpp:117] err == 0. DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes."))
                .code())
        .isEqualTo(ErrorCode.RESOURCE_EXHAUSTED);
    assertThat(PyTorchErrors.ofRun(new IllegalStateException("released")).code())
        .isEqualTo(ErrorCode.INTERNAL);
  }
}
