/** The programs that {@code benchmarks/run} starts, each with a {@code main} of its own. */
@NullMarked
package dev.millrace.benchmarks.load;

import org.jspecify.annotations.NullMarked;
