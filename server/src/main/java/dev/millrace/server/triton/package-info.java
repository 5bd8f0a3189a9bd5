/**
 * Triton's extensions of the V2 protocol beside inference itself, over REST and gRPC: what both
 * answer is made once, as the message that gRPC sends, and REST writes that as JSON.
 */
@NullMarked
package dev.millrace.server.triton;

import org.jspecify.annotations.NullMarked;
