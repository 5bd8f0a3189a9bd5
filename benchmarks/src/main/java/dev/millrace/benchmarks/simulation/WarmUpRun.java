package dev.millrace.benchmarks.simulation;

/** One run that a server measures when it loads a model, before any request. */
record WarmUpRun(long rowElements, int rows, long nanos) {}
