/**
 * What decides: how many rows a free runner takes, whether it holds back first, which requests are
 * given up, how many batches run at once. Pure state machines: no threads, no clocks, no I/O; the
 * batcher and the simulator drive the same classes.
 */
@NullMarked
package dev.millrace.batcher.policy;

import org.jspecify.annotations.NullMarked;
