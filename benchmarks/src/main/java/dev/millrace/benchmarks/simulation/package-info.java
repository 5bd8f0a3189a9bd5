/**
 * A discrete-event simulation of batching: the production policies and their rivals against service
 * curves and arrival processes, on a clock of its own.
 */
@NullMarked
package dev.millrace.benchmarks.simulation;

import org.jspecify.annotations.NullMarked;
