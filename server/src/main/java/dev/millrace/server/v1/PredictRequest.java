package dev.millrace.server.v1;

import dev.millrace.api.InferenceRequest;

/**
 * A request as it was read, and the form its answer shall have.
 *
 * @param inference owned by whoever holds this
 */
public record PredictRequest(InferenceRequest inference, AnswerForm form) {}
