/** An engine that takes exactly as long as it is told to: what is right is known beforehand. */
@NullMarked
package dev.millrace.benchmarks.known;

import org.jspecify.annotations.NullMarked;
