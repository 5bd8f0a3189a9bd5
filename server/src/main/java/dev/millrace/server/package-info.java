/**
 * The process: its command line, its configuration, its start and its end.
 *
 * <p>{@link dev.millrace.server.MillraceServer} is a model server with its front ends, to embed;
 * {@link dev.millrace.server.Main} is the command line around it.
 */
@NullMarked
package dev.millrace.server;

import org.jspecify.annotations.NullMarked;
