/**
 * The protocol-free model server: finds models, loads them, and takes requests through the pipeline
 * of the version asked for.
 */
@NullMarked
package dev.millrace.runtime;

import org.jspecify.annotations.NullMarked;
