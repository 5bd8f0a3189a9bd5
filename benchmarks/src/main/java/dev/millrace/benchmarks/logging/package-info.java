/** What logging costs a server that is under load. */
@NullMarked
package dev.millrace.benchmarks.logging;

import org.jspecify.annotations.NullMarked;
