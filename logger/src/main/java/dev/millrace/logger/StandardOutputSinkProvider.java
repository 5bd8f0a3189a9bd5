package dev.millrace.logger;

import dev.millrace.api.Settings;
import java.io.FileDescriptor;
import java.io.FileOutputStream;
import java.io.IOException;
import java.io.OutputStream;
import java.time.Duration;
import java.util.Arrays;
import java.util.Map;

/** The process's standard output, a message on a line. */
public final class StandardOutputSinkProvider implements SinkProvider {
  /** Made by the service loader. */
  public StandardOutputSinkProvider() {}

  @Override
  public String name() {
    return "stdout";
  }

  @Override
  public Sink open(Settings settings, Map<String, String> environment, boolean promised) {
    return new Lines(new FileOutputStream(FileDescriptor.out));
  }

  /** Writes each line by one call, so that others' lines do not come between. */
  static final class Lines implements Sink {
    private final OutputStream out;

    Lines(OutputStream out) {
      this.out = out;
    }

    @Override
    public void send(LogMessage message, Answer answer) throws SinkException {
      byte[] line = Arrays.copyOf(message.value(), message.value().length + 1);
      line[line.length - 1] = '\n';
      try {
        out.write(line);
      } catch (IOException e) {
        throw SinkException.passing("cannot write to standard output: " + e, e);
      }
      answer.settled(null);
    }

    /** Standard output stays open: it is the process's. */
    @Override
    public void close(Duration grace) {}
  }
}
