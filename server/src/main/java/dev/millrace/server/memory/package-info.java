/**
 * Memory that clients on the same machine share with the server, so that tensors need not go over a
 * connection.
 */
@NullMarked
package dev.millrace.server.memory;

import org.jspecify.annotations.NullMarked;
