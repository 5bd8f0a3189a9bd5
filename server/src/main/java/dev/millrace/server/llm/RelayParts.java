package dev.millrace.server.llm;

import io.netty.channel.EventLoop;

/** What relays share. */
interface RelayParts {
  /** The connections of a loop. */
  UpstreamPool pool(EventLoop loop);

  /** Where inferences are taken note of. */
  GenerationLog log();

  /**
   * Starts on a request, as if it were for the model of that name; on the event loop.
   *
   * @param request taken over
   */
  void start(LlmRequest request, String name);
}
