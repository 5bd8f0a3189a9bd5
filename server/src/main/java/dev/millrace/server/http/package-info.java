/**
 * HTTP/1.1 on Netty, for every REST protocol: connections, routing, compression, limits and errors.
 * Knows nothing of tensors.
 *
 * <p><b>Threads.</b> A connection and its exchanges belong to one event loop. A small request is
 * handled on it; a large or compressed one is handled on the workers. An {@link
 * dev.millrace.server.http.HttpExchange} may be answered from any thread.
 */
@NullMarked
package dev.millrace.server.http;

import org.jspecify.annotations.NullMarked;
