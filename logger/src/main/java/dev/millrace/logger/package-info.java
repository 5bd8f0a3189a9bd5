/**
 * Logs what goes into models and what comes out: sampling, a hand-off bounded in bytes, formats,
 * and sinks, Kafka among them.
 */
@NullMarked
package dev.millrace.logger;

import org.jspecify.annotations.NullMarked;
