package dev.millrace.batcher;

/**
 * A run of a model that went well, and how long its steps took. Requests that shared the run each
 * waited for all of it.
 *
 * @param requests that began with it: one that is run in several pieces counts with its first
 * @param parts that shared it: requests, and pieces of requests
 * @param rows of them, without what the batch was filled up with
 * @param queueNanos that those which began with it had waited, together
 * @param mergeNanos for putting the inputs together; 0 if there was nothing to put together
 * @param computeNanos inside the predictor
 * @param splitNanos for parting the outputs; 0 if there was nothing to part
 */
public record BatchTimes(
    int requests,
    int parts,
    int rows,
    long queueNanos,
    long mergeNanos,
    long computeNanos,
    long splitNanos) {}
