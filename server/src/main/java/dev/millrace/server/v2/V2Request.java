package dev.millrace.server.v2;

import dev.millrace.api.InferenceRequest;

/**
 * A request as it was read, and the form its answer shall have.
 *
 * @param inference owned by whoever holds this
 */
public record V2Request(InferenceRequest inference, OutputEncoding outputs) {}
