package dev.millrace.server.llm;

import io.netty.channel.EventLoop;

/** What relays share. */
interface RelayParts {
  /** The connections of a loop. */
  UpstreamPool pool(EventLoop loop);

  /** Where responses are. */
  ResponseHomes homes();

  /** Where inferences are taken note of. */
  GenerationLog log();

  /**
   * Takes so many bytes of the memory that requests may take; whether there are. If so, they are
   * {@linkplain #giveMemory given back}.
   */
  boolean takeMemory(int bytes);

  /** Gives back what was taken. */
  void giveMemory(int bytes);

  /**
   * Starts on a request, as if it were for the model of that name; on the event loop.
   *
   * @param request taken over
   */
  void start(LlmRequest request, String name);
}
