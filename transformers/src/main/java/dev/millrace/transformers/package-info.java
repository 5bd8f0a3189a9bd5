/** Ready-made steps before and behind a model. */
@NullMarked
package dev.millrace.transformers;

import org.jspecify.annotations.NullMarked;
