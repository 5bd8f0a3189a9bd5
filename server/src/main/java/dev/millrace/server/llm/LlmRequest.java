package dev.millrace.server.llm;

import dev.millrace.api.spi.Upstream;
import dev.millrace.server.http.HttpExchange;
import io.netty.buffer.ByteBuf;
import org.jspecify.annotations.Nullable;

/**
 * A request as it came in.
 *
 * @param path what the upstream is asked for, with the query
 * @param body owned by this
 * @param key whose it is, for limits
 * @param id its name, the client's or one made up
 * @param isKserve whether it came by the paths of KServe, whose clients want codes to be texts
 * @param isFallback whether another model could not answer it
 * @param home the only upstream that can answer it, as what it is about is there; null if any can
 */
record LlmRequest(
    HttpExchange exchange,
    Operation operation,
    String path,
    RequestScan scan,
    ByteBuf body,
    String key,
    String id,
    boolean isKserve,
    boolean isFallback,
    @Nullable Upstream home)
    implements AutoCloseable {
  boolean isStream() {
    return scan.isStream();
  }

  /** The same for another model; the caller's, beside this one. */
  LlmRequest forFallback() {
    return new LlmRequest(
        exchange, operation, path, scan, body.retain(), key, id, isKserve, true, null);
  }

  @Override
  public void close() {
    body.release();
  }
}
