/**
 * The V2 (Open Inference) protocol over HTTP: its routes, and the codecs between its JSON and
 * binary forms and tensors.
 */
@NullMarked
package dev.millrace.server.v2;

import org.jspecify.annotations.NullMarked;
