/**
 * The nouns of model serving: tensors, requests and responses, what a model declares, time and
 * errors.
 *
 * <p><b>Ownership.</b> Tensors hold memory outside the heap, so every one has one owner at a time,
 * who closes it. Six rules:
 *
 * <ol>
 *   <li>Whoever opens it closes it, once.
 *   <li>Move on accept, keep on reject: a method that takes over a tensor and throws has not taken
 *       it.
 *   <li>The batch owns what it merged while it runs.
 *   <li>A reply is one-shot: success, failure, time-out and cancellation race by one
 *       compare-and-set, and a time-out never frees memory that native code is reading.
 *   <li>{@code wrap} shares, {@code copyOf} copies, nothing else creates a tensor.
 *   <li>Nobody keeps a tensor that moved.
 * </ol>
 */
@NullMarked
package dev.millrace.api;

import org.jspecify.annotations.NullMarked;
