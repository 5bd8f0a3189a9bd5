/**
 * An engine for large language models that follows a script: it speaks as vLLM does and misbehaves
 * as networks and engines do.
 */
@NullMarked
package dev.millrace.testing.llm;

import org.jspecify.annotations.NullMarked;
