package dev.millrace.logger;

/** What a message is keyed by. */
enum MessageKey {
  /** Nothing: messages are spread over the topic's partitions. */
  NONE,
  /** Both sides of an inference go to one partition. */
  INFERENCE_ID,
  /** All of a model goes to one partition, in order. */
  MODEL
}
