/**
 * JSON and tensors, without a protocol: where text is read from, how numbers and texts get from
 * there into a tensor's memory, and how they get back.
 */
@NullMarked
package dev.millrace.server.json;

import org.jspecify.annotations.NullMarked;
