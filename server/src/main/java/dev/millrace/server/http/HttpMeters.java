package dev.millrace.server.http;

import io.micrometer.core.instrument.MeterRegistry;

/**
 * What is measured of HTTP requests:
 *
 * <ul>
 *   <li>{@code millrace_http_requests_total{route,code}}: answers
 *   <li>{@code millrace_http_request_duration_seconds{route}}: from the request's head to its
 *       answer
 * </ul>
 *
 * {@code route} is the path's template, or {@code none} for what is not served here.
 */
final class HttpMeters {
  private final MeterRegistry registry;

  HttpMeters(MeterRegistry registry) {
    this.registry = registry;
  }

  RouteMeters of(String route) {
    return new RouteMeters(registry, route);
  }
}
