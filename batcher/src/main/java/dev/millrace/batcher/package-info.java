/**
 * The micro-batcher: a queue, runners that pull batches from it, and the policy that sizes them.
 */
@NullMarked
package dev.millrace.batcher;

import org.jspecify.annotations.NullMarked;
