package dev.millrace.logger;

import static java.nio.charset.StandardCharsets.UTF_8;

import dev.millrace.api.spi.LogListener.DropReason;
import dev.millrace.logger.LogMessage.Header;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.time.Duration;
import java.util.concurrent.CompletionException;
import org.jspecify.annotations.Nullable;

/**
 * Posts messages: headers become HTTP headers, {@code ce_id} for one {@code ce-id}. Any 2xx is an
 * acknowledgement; 408, 429 and 5xx pass; every other status is a refusal.
 */
final class HttpSink implements Sink {
  private final HttpClient client;
  private final URI url;
  private final Duration timeout;
  private final int maxInFlight;

  HttpSink(URI url, Duration timeout, int maxInFlight) {
    this.client =
        HttpClient.newBuilder()
            .version(HttpClient.Version.HTTP_1_1)
            .connectTimeout(timeout)
            .build();
    this.url = url;
    this.timeout = timeout;
    this.maxInFlight = maxInFlight;
  }

  @Override
  public int maxInFlight() {
    return maxInFlight;
  }

  @Override
  public int attempts() {
    return 4;
  }

  @Override
  public void send(LogMessage message, Answer answer) {
    HttpRequest.Builder request =
        HttpRequest.newBuilder(url)
            .timeout(timeout)
            .POST(HttpRequest.BodyPublishers.ofByteArray(message.value()));
    for (Header header : message.headers()) {
      String text = header.text();
      request.header(name(header), header.name().equals("content-type") ? text : printable(text));
    }
    var _ =
        client
            .sendAsync(request.build(), HttpResponse.BodyHandlers.discarding())
            .whenComplete((response, failure) -> answer.settled(failure(response, failure)));
  }

  private static String name(Header header) {
    return header.name().startsWith(CloudEventsFormat.PREFIX)
        ? "ce-" + header.name().substring(CloudEventsFormat.PREFIX.length())
        : header.name();
  }

  /**
   * Percent-encodes what the CloudEvents binding for HTTP does not allow in a header: blanks,
   * double quotes, percent signs and all beyond ASCII.
   */
  private static String printable(String text) {
    StringBuilder out = new StringBuilder();
    for (byte octet : text.getBytes(UTF_8)) {
      if (octet > 0x20 && octet < 0x7f && octet != '"' && octet != '%') {
        out.append((char) octet);
      } else {
        out.append("%%%02X".formatted(octet & 0xff));
      }
    }
    return out.toString();
  }

  private @Nullable SinkException failure(
      @Nullable HttpResponse<?> response, @Nullable Throwable thrown) {
    if (response == null) {
      Throwable cause =
          thrown instanceof CompletionException && thrown.getCause() != null
              ? thrown.getCause()
              : thrown;
      return SinkException.passing("%s does not answer: %s".formatted(url, cause), cause);
    }
    int status = response.statusCode();
    if (status / 100 == 2) {
      return null;
    }
    String text = "%s answered with status %d".formatted(url, status);
    if (status == 413) {
      return SinkException.hopeless(text, null, DropReason.TOO_LARGE);
    }
    return status == 408 || status == 429 || status / 100 == 5
        ? SinkException.passing(text, null)
        : SinkException.hopeless(text, null, DropReason.REFUSED);
  }

  @Override
  public void close(Duration grace) {
    client.shutdownNow();
  }
}
