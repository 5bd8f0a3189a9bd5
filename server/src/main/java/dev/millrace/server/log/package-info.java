/** How much is logged, and who may change it while the server runs. */
@NullMarked
package dev.millrace.server.log;

import org.jspecify.annotations.NullMarked;
