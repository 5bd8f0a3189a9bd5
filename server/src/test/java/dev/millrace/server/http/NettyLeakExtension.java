package dev.millrace.server.http;

import ch.qos.logback.classic.Logger;
import ch.qos.logback.classic.spi.ILoggingEvent;
import ch.qos.logback.core.read.ListAppender;
import io.netty.buffer.ByteBufAllocator;
import io.netty.util.ResourceLeakDetector;
import java.util.List;
import java.util.concurrent.locks.LockSupport;
import org.junit.jupiter.api.extension.AfterAllCallback;
import org.junit.jupiter.api.extension.BeforeAllCallback;
import org.junit.jupiter.api.extension.ExtensionContext;
import org.slf4j.LoggerFactory;

/** Fails a test class during which Netty reports that a buffer was not released. */
public final class NettyLeakExtension implements BeforeAllCallback, AfterAllCallback {
  private static final int COLLECTIONS = 5;

  private final ListAppender<ILoggingEvent> log = new ListAppender<>();

  private static Logger logger() {
    return (Logger) LoggerFactory.getLogger(ResourceLeakDetector.class);
  }

  @Override
  public void beforeAll(ExtensionContext context) {
    if (ResourceLeakDetector.getLevel() != ResourceLeakDetector.Level.PARANOID) {
      throw new IllegalStateException("run the tests with -Dio.netty.leakDetection.level=paranoid");
    }
    log.start();
    logger().addAppender(log);
  }

  @Override
  public void afterAll(ExtensionContext context) {
    // Leaks are found by the collector, and reported when the next buffer is made.
    for (int i = 0; i < COLLECTIONS; i++) {
      System.gc();
      LockSupport.parkNanos(10_000_000);
      ByteBufAllocator.DEFAULT.directBuffer(16).release();
    }
    logger().detachAppender(log);
    List<String> leaks = log.list.stream().map(ILoggingEvent::getFormattedMessage).toList();
    if (!leaks.isEmpty()) {
      throw new AssertionError("Netty reports leaks: " + leaks);
    }
  }
}
