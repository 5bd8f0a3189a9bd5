/** Micro-benchmarks, and the programs that the end-to-end load run starts. */
@NullMarked
package dev.millrace.benchmarks;

import org.jspecify.annotations.NullMarked;
