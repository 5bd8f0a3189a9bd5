/** TorchScript models, run by PyTorch through DJL's bridge to it. */
@NullMarked
package dev.millrace.backend.pytorch;

import org.jspecify.annotations.NullMarked;
