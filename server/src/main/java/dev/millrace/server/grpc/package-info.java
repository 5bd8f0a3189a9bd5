/** The V2 inference protocol over gRPC, with health and reflection. */
@NullMarked
package dev.millrace.server.grpc;

import org.jspecify.annotations.NullMarked;
