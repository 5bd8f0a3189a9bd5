/** What {@code benchmarks/batching} starts: the batcher's measurements on the real server. */
@NullMarked
package dev.millrace.benchmarks.batching;

import org.jspecify.annotations.NullMarked;
