/**
 * Sockets and event loops: accepts connections, tells HTTP/1.1 from HTTP/2 by their first bytes,
 * and gives each to the front end that speaks it.
 */
@NullMarked
package dev.millrace.server.transport;

import org.jspecify.annotations.NullMarked;
