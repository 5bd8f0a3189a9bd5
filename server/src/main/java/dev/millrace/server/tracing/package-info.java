/** Spans of requests, exported to an OpenTelemetry collector. */
@NullMarked
package dev.millrace.server.tracing;

import org.jspecify.annotations.NullMarked;
