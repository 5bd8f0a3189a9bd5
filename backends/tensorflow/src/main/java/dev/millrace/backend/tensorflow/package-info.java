/** SavedModels, run by TensorFlow. */
@NullMarked
package dev.millrace.backend.tensorflow;

import org.jspecify.annotations.NullMarked;
