package dev.millrace.server.v2;

import dev.millrace.api.InferenceRequest;

/**
 * A request as it was read, and the form its answer shall have.
 *
 * @param inference owned by whoever holds this
 * @param outputs which outputs are binary
 * @param options what is to be done to outputs before they are sent
 */
public record V2Request(
    InferenceRequest inference, OutputEncoding outputs, OutputOptions options) {}
