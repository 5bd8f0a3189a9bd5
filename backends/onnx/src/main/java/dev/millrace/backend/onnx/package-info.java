/** ONNX models, run by ONNX Runtime. */
@NullMarked
package dev.millrace.backend.onnx;

import org.jspecify.annotations.NullMarked;
