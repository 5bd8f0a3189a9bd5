package dev.millrace.server.tracing;

import dev.millrace.runtime.SpanMeters;
import io.opentelemetry.context.Context;
import io.opentelemetry.sdk.common.CompletableResultCode;
import io.opentelemetry.sdk.trace.ReadWriteSpan;
import io.opentelemetry.sdk.trace.ReadableSpan;
import io.opentelemetry.sdk.trace.SpanProcessor;
import io.opentelemetry.sdk.trace.data.SpanData;
import io.opentelemetry.sdk.trace.export.SpanExporter;
import java.util.Collection;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.concurrent.atomic.AtomicInteger;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Counts what becomes of spans on both sides of the library's queue, which keeps that to itself: in
 * front of it those that there is no room for, which it is spared, behind it those that are sent
 * and those that cannot be. The log says when that begins and ends. Thread-safe.
 */
final class CountedSpans {
  private static final Logger log = LoggerFactory.getLogger(CountedSpans.class);

  private final SpanMeters meters;
  private final AtomicInteger waiting = new AtomicInteger();
  private final AtomicBoolean isFailing = new AtomicBoolean();

  CountedSpans(SpanMeters meters) {
    this.meters = meters;
  }

  /** Spans that have ended and that nobody has tried to send. */
  int waiting() {
    return waiting.get();
  }

  /**
   * What is in front of the queue.
   *
   * @param room spans that may wait in it
   */
  SpanProcessor before(SpanProcessor queue, int room) {
    return new SpanProcessor() {
      @Override
      public void onStart(Context parent, ReadWriteSpan span) {
        queue.onStart(parent, span);
      }

      @Override
      public boolean isStartRequired() {
        return queue.isStartRequired();
      }

      @Override
      public void onEnd(ReadableSpan span) {
        if (!span.getSpanContext().isSampled()) {
          return;
        }
        if (waiting.incrementAndGet() <= room) {
          queue.onEnd(span);
        } else {
          waiting.decrementAndGet();
          meters.dropped();
        }
      }

      @Override
      public boolean isEndRequired() {
        return true;
      }

      @Override
      public CompletableResultCode shutdown() {
        return queue.shutdown();
      }

      @Override
      public CompletableResultCode forceFlush() {
        return queue.forceFlush();
      }
    };
  }

  /** What is behind the queue. */
  SpanExporter behind(SpanExporter exporter) {
    return new SpanExporter() {
      @Override
      public CompletableResultCode export(Collection<SpanData> spans) {
        int count = spans.size(); // the collection is used again
        waiting.addAndGet(-count);
        CompletableResultCode result = exporter.export(spans);
        return result.whenComplete(() -> exported(count, result));
      }

      @Override
      public CompletableResultCode flush() {
        return exporter.flush();
      }

      @Override
      public CompletableResultCode shutdown() {
        return exporter.shutdown();
      }
    };
  }

  private void exported(int count, CompletableResultCode result) {
    if (result.isSuccess()) {
      meters.exported(count);
      if (isFailing.compareAndSet(true, false)) {
        log.info("Spans are exported again");
      }
    } else {
      meters.failed(count);
      if (isFailing.compareAndSet(false, true)) {
        log.warn(
            "Spans cannot be exported, and are lost: {}", reason(result.getFailureThrowable()));
      }
    }
  }

  private static String reason(@Nullable Throwable failure) {
    Throwable cause = failure;
    while (cause != null && cause.getCause() != null) {
      cause = cause.getCause();
    }
    return cause == null ? "no reason was given" : cause.toString();
  }
}
