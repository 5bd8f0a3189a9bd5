/** The paths by which clouds reach the containers that they run, over the protocols' handlers. */
@NullMarked
package dev.millrace.server.cloud;

import org.jspecify.annotations.NullMarked;
