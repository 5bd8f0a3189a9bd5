package dev.millrace.server.llm;

import io.netty.handler.codec.http.HttpMethod;

/**
 * What may be asked of an engine: the list of what is let through. Nothing that controls an engine
 * is on it.
 */
enum Operation {
  CHAT("chat", "/v1/chat/completions", "/v1/chat/completions"),
  COMPLETION("text_completion", "/v1/completions", "/v1/completions"),
  EMBEDDINGS("embeddings", "/v1/embeddings", "/v1/embeddings"),
  RERANK("rerank", "/rerank", "/rerank"),
  RERANK_V1("rerank", "/v1/rerank", "/v1/rerank"),
  RERANK_V2("rerank", "/v2/rerank", "/v2/rerank"),
  SCORE("score", "/score", "/score"),
  SCORE_V1("score", "/v1/score", "/v1/score"),
  POOLING("pooling", "/pooling", "/pooling"),
  CLASSIFY("classify", "/v1/classify", "/classify"),
  TOKENIZE("tokenize", "/tokenize", "/tokenize"),
  TOKENIZE_V1("tokenize", "/v1/tokenize", "/tokenize"),
  DETOKENIZE("detokenize", "/detokenize", "/detokenize"),
  DETOKENIZE_V1("detokenize", "/v1/detokenize", "/detokenize"),
  RESPONSES("responses", "/v1/responses", "/v1/responses"),
  GET_RESPONSE("GET", "get_response", Operation.RESPONSE, Operation.RESPONSE),
  DELETE_RESPONSE("DELETE", "delete_response", Operation.RESPONSE, Operation.RESPONSE),
  CANCEL_RESPONSE(
      "POST", "cancel_response", Operation.RESPONSE + "/cancel", Operation.RESPONSE + "/cancel"),
  MESSAGES("messages", "/v1/messages", "/v1/messages"),
  COUNT_TOKENS("count_tokens", "/v1/messages/count_tokens", "/v1/messages/count_tokens"),
  TRANSCRIPTIONS("transcriptions", "/v1/audio/transcriptions", "/v1/audio/transcriptions"),
  TRANSLATIONS("translations", "/v1/audio/translations", "/v1/audio/translations"),
  SPEECH("speech", "/v1/audio/speech", "/v1/audio/speech");

  /** The variable in the paths of those that are about a response. */
  static final String ID = "response";

  private static final String RESPONSE = "/v1/responses/{" + ID + "}";

  private final String method;
  private final String label;
  private final String path;
  private final String upstreamPath;

  Operation(String label, String path, String upstreamPath) {
    this("POST", label, path, upstreamPath);
  }

  Operation(String method, String label, String path, String upstreamPath) {
    this.method = method;
    this.label = label;
    this.path = path;
    this.upstreamPath = upstreamPath;
  }

  HttpMethod method() {
    return HttpMethod.valueOf(method);
  }

  /** The value of {@code gen_ai.operation.name}. */
  String label() {
    return label;
  }

  /** The path that clients use, after the prefix. */
  String path() {
    return path;
  }

  /** The path at the upstream, which has the same variable. */
  String upstreamPath() {
    return upstreamPath;
  }

  /** Whether its streams are OpenAI's: chunks with choices, and {@code [DONE]} at the end. */
  boolean streamsChoices() {
    return this == CHAT || this == COMPLETION;
  }

  /** Whether it is about a response that was made before, and asks for no work. */
  boolean isOfResponse() {
    return this == GET_RESPONSE || this == DELETE_RESPONSE || this == CANCEL_RESPONSE;
  }

  /** Whether the body is a form with a file in it, rather than JSON. */
  boolean isForm() {
    return this == TRANSCRIPTIONS || this == TRANSLATIONS;
  }
}
