/**
 * OpenAI's API: requests for language models are relayed to the engines that answer for them, bytes
 * for bytes, and embeddings are also made by models of this process.
 *
 * <p>A request stays on the event loop of its client's connection: {@link
 * dev.millrace.server.llm.LlmRoutes} finds the model that {@link
 * dev.millrace.server.llm.RequestScan} reads out of the body, a {@link
 * dev.millrace.server.llm.Relay} takes it to a {@link dev.millrace.server.llm.Replica} over a
 * connection of that loop's {@link dev.millrace.server.llm.UpstreamPool}, and passes the answer on
 * as it comes.
 */
@NullMarked
package dev.millrace.server.llm;

import org.jspecify.annotations.NullMarked;
