package dev.millrace.server;

import io.micrometer.core.instrument.Gauge;
import io.micrometer.core.instrument.MeterRegistry;
import io.micrometer.core.instrument.binder.jvm.JvmGcMetrics;
import io.micrometer.core.instrument.binder.jvm.JvmMemoryMetrics;
import io.micrometer.core.instrument.binder.jvm.JvmThreadMetrics;
import io.micrometer.core.instrument.binder.system.FileDescriptorMetrics;
import io.micrometer.core.instrument.binder.system.ProcessorMetrics;
import io.micrometer.core.instrument.binder.system.UptimeMetrics;

/**
 * What is measured of the process: memory, garbage collection, threads, processor time, open files,
 * its start ({@code process_start_time_seconds}), and which build it is ({@code
 * millrace_build_info}).
 */
final class ProcessMetrics implements AutoCloseable {
  private final JvmGcMetrics collector = new JvmGcMetrics();

  private ProcessMetrics() {}

  /** Adds the meters; whoever did closes this to stop listening to the garbage collector. */
  static ProcessMetrics bind(MeterRegistry registry) {
    ProcessMetrics metrics = new ProcessMetrics();
    metrics.collector.bindTo(registry);
    new JvmMemoryMetrics().bindTo(registry);
    new JvmThreadMetrics().bindTo(registry);
    new ProcessorMetrics().bindTo(registry);
    new FileDescriptorMetrics().bindTo(registry);
    new UptimeMetrics().bindTo(registry);
    Gauge.builder("millrace.build.info", () -> 1)
        .description("Which build this is; always 1")
        .tag("version", Version.text())
        .tag("java", Runtime.version().toString())
        .register(registry);
    return metrics;
  }

  @Override
  public void close() {
    collector.close();
  }
}
