/**
 * The V1 protocols, which share their paths and their forms: KServe's and TF Serving's over REST,
 * and TF Serving's over gRPC. Models of every engine are reached by them.
 */
@NullMarked
package dev.millrace.server.v1;

import org.jspecify.annotations.NullMarked;
