package dev.millrace.benchmarks.load;

import static java.nio.charset.StandardCharsets.US_ASCII;

import dev.millrace.api.TensorMap;
import dev.millrace.benchmarks.WireRequest;
import io.netty.buffer.ByteBuf;
import io.netty.buffer.Unpooled;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.nio.ByteBuffer;
import java.time.Duration;

/**
 * One V2 REST request with the binary tensor extension, as the bytes that go over the wire: made
 * once, sent as often as wanted.
 *
 * @param bytes head and body; never written to, never released
 * @param timeout that the request asks to be given up after; zero for none
 */
public record LoadRequest(InetSocketAddress server, ByteBuf bytes, Duration timeout) {
  /**
   * A request to a model on this machine.
   *
   * @param inputs stay the caller's
   * @param timeout in the request's parameter {@code timeout}; zero for none
   */
  public static LoadRequest of(int port, String model, TensorMap inputs, Duration timeout) {
    long micros = timeout.toNanos() / 1000;
    byte[] body = WireRequest.binary(inputs, micros);
    String head =
        String.join(
            "\r\n",
            "POST /v2/models/" + model + "/infer HTTP/1.1",
            "Host: localhost:" + port,
            "Content-Type: application/octet-stream",
            "Inference-Header-Content-Length: " + WireRequest.binaryHeader(inputs, micros).length,
            "Content-Length: " + body.length,
            "",
            "");
    ByteBuffer bytes = ByteBuffer.allocateDirect(head.length() + body.length);
    bytes.put(head.getBytes(US_ASCII)).put(body).flip();
    return new LoadRequest(
        new InetSocketAddress(InetAddress.getLoopbackAddress(), port),
        Unpooled.unreleasableBuffer(Unpooled.wrappedBuffer(bytes)),
        timeout);
  }

  /** The bytes, to be read by one who advances. */
  ByteBuf copy() {
    return bytes.duplicate();
  }
}
