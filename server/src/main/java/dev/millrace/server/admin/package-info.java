/** Paths for people who run a server: what it has found out by itself. */
@NullMarked
package dev.millrace.server.admin;

import org.jspecify.annotations.NullMarked;
