package dev.millrace.backend.python;

import dev.millrace.api.Parameters;
import dev.millrace.api.TensorMap;
import dev.millrace.api.spi.TextGenerator;
import java.io.IOException;
import java.net.ProtocolException;
import java.nio.ByteBuffer;
import java.nio.channels.SocketChannel;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/**
 * One of a worker's connections, on which it answers one call after the other.
 *
 * <p>Used by one thread at a time; {@link #hasRunFor} and {@link #close} by any. A channel that a
 * virtual thread has used is never read in one system call again, but in three (without waiting,
 * poll, once more): what is done beside the calls of a predictor, which has a platform thread, is
 * done by platform threads too.
 */
final class Connection implements AutoCloseable {
  private final Worker worker;
  private final SocketChannel channel;
  private final FrameWriter writer = new FrameWriter();
  private final FrameReader reader = new FrameReader();
  private @Nullable SharedRegion inputs;
  private @Nullable SharedRegion outputs;

  /** When the call that is under way began; 0 if none is. */
  private volatile long startedNanos;

  private volatile boolean isOverdue;

  Connection(Worker worker, SocketChannel channel) {
    this.worker = worker;
    this.channel = channel;
  }

  Worker worker() {
    return worker;
  }

  /**
   * Calls the script.
   *
   * @param tensors stay the caller's
   * @return what it gave, which the caller closes
   * @throws ScriptError if the script or its result failed; the connection is as good as before
   * @throws IOException if the worker is gone, or not to be trusted any more
   */
  TensorMap call(Verb verb, TensorMap tensors, Parameters parameters)
      throws IOException, ScriptError {
    begin();
    try {
      SharedRegion region = regionFor(tensors);
      int flags =
          (region == null ? 0 : Frame.IN_MEMORY) | (worker.sharesMemory() ? 0 : Frame.INLINE);
      writer
          .begin(Frame.CALL)
          .int8(verb.number())
          .int8(flags)
          .heads(tensors)
          .parameters(parameters);
      if (region == null) {
        writer.contents(tensors);
      } else {
        region.put(tensors);
      }
      writer.send(channel);
      return result(reader.receive(channel));
    } finally {
      startedNanos = 0;
    }
  }

  /** Asks the script to generate; {@link #nextPart} is to be called until there is none. */
  void generate(int operation, Map<String, String> headers, ByteBuffer body) throws IOException {
    begin();
    writer.begin(Frame.GENERATE).int8(operation).texts(headers).bytes(body).send(channel);
  }

  /**
   * Calls the script for a stream of results; {@link #nextResult} is to be called until there is
   * none.
   *
   * @param tensors stay the caller's
   */
  void stream(Verb verb, TensorMap tensors, Parameters parameters) throws IOException {
    begin();
    writer
        .begin(Frame.STREAM)
        .int8(verb.number())
        .int8(Frame.INLINE)
        .heads(tensors)
        .parameters(parameters)
        .contents(tensors)
        .send(channel);
  }

  /**
   * Waits for the next result of a stream; the time that this takes is the call's.
   *
   * @return what the caller closes; null after the last
   * @throws ScriptError if the script failed; nothing more comes then
   */
  @Nullable TensorMap nextResult() throws IOException, ScriptError {
    begin();
    try {
      byte kind = nextKind();
      if (kind == Frame.END) {
        return null;
      }
      if (kind != Frame.RESULT) {
        throw unexpected(kind);
      }
      reader.int8();
      return reader.tensors(null);
    } finally {
      startedNanos = 0;
    }
  }

  /**
   * Waits for the next part of what is generated; the time that this takes is the call's.
   *
   * @return null after the last
   * @throws ScriptError if the script failed; nothing more comes then
   */
  TextGenerator.@Nullable Part nextPart() throws IOException, ScriptError {
    begin();
    try {
      byte kind = nextKind();
      if (kind == Frame.END) {
        return null;
      }
      if (kind != Frame.PART) {
        throw unexpected(kind);
      }
      boolean whole = reader.int8() != 0;
      return new TextGenerator.Part(whole, reader.rest());
    } finally {
      startedNanos = 0;
    }
  }

  /** Waits for the next of many frames, and throws it if it is an error. */
  private byte nextKind() throws IOException, ScriptError {
    byte kind = reader.receiveOneOfMany(channel);
    if (kind == Frame.ERROR) {
      reader.int8();
      throw error();
    }
    return kind;
  }

  /** Has a generation or stream end soon; by any thread, but only while one is under way. */
  void cancel() throws IOException {
    new FrameWriter(Frame.HEAD_BYTES).begin(Frame.CANCEL).send(channel);
  }

  /** Whether the worker answers. */
  void ping() throws IOException {
    begin();
    try {
      writer.begin(Frame.PING).send(channel);
      byte kind = reader.receive(channel);
      if (kind != Frame.PONG) {
        throw unexpected(kind);
      }
    } finally {
      startedNanos = 0;
    }
  }

  private void begin() {
    long now = System.nanoTime();
    startedNanos = now == 0 ? 1 : now;
  }

  private TensorMap result(byte kind) throws IOException, ScriptError {
    int flags = reader.int8();
    if ((flags & Frame.INPUTS_KEPT) != 0) {
      inputs = closed(inputs);
    }
    if (kind == Frame.ERROR) {
      throw error();
    }
    if (kind != Frame.RESULT) {
      throw unexpected(kind);
    }
    if ((flags & Frame.NEW_REGION) != 0) {
      outputs = closed(outputs);
      outputs = SharedRegion.open(worker.pid(), reader.int32(), reader.int64());
    }
    if ((flags & Frame.IN_MEMORY) == 0) {
      return reader.tensors(null);
    }
    if (outputs == null) {
      throw new ProtocolException("a result in a region that is not there");
    }
    return reader.tensors(outputs.memory());
  }

  /** What an error says behind its flags. */
  private ScriptError error() throws ProtocolException {
    int status = reader.int16();
    return new ScriptError(status, reader.text(), reader.text());
  }

  private static @Nullable SharedRegion closed(@Nullable SharedRegion region) {
    if (region != null) {
      region.close();
    }
    return null;
  }

  private static ProtocolException unexpected(byte kind) {
    return new ProtocolException("a frame of kind " + kind);
  }

  /** Where large inputs are put; null for those that go along with the call. */
  private @Nullable SharedRegion regionFor(TensorMap tensors) throws IOException {
    if (tensors.byteSize() <= Frame.MOST_INLINE || !worker.sharesMemory()) {
      return null;
    }
    long size = SharedRegion.sizeOf(tensors);
    if (inputs == null || inputs.size() < size) {
      if (!provideMemory(size)) {
        return null;
      }
    }
    return inputs;
  }

  /** Gets a region for inputs; false if there is no such memory. */
  boolean provideMemory(long size) throws IOException {
    inputs = closed(inputs);
    writer.begin(Frame.MEMORY).int64(size).send(channel);
    byte kind = reader.receive(channel);
    if (kind == Frame.ERROR) {
      return false;
    }
    if (kind != Frame.REGION) {
      throw unexpected(kind);
    }
    inputs = SharedRegion.open(worker.pid(), reader.int32(), reader.int64());
    return true;
  }

  /** Whether a call has been under way for longer than that. */
  boolean hasRunFor(long nanos, long now) {
    long started = startedNanos;
    return started != 0 && now - started > nanos;
  }

  /** Notes that the worker is ended because of the call that is under way here. */
  void overdue() {
    isOverdue = true;
  }

  boolean isOverdue() {
    return isOverdue;
  }

  /** Gives the mappings back; not while a call is under way. */
  void unmap() {
    inputs = closed(inputs);
    outputs = closed(outputs);
  }

  /** Ends the connection; a call that is under way fails. */
  @Override
  public void close() {
    try {
      channel.close();
    } catch (IOException e) {
      throw new java.io.UncheckedIOException(e);
    }
  }
}
