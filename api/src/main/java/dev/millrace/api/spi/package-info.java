/** What a plug-in implements: engines, transformers and inference loggers. */
@NullMarked
package dev.millrace.api.spi;

import org.jspecify.annotations.NullMarked;
