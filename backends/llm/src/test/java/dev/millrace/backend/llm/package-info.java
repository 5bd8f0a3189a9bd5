@NullMarked
package dev.millrace.backend.llm;

import org.jspecify.annotations.NullMarked;
