package dev.millrace.server.v1;

import dev.millrace.runtime.ModelState;

/** Where a version is in its life, as TF Serving has it. */
enum VersionState {
  START,
  LOADING,
  AVAILABLE,
  UNLOADING,
  END;

  static VersionState of(ModelState state) {
    return switch (state) {
      case UNKNOWN -> START;
      case LOADING -> LOADING;
      case READY -> AVAILABLE;
      case UNLOADING -> UNLOADING;
      case UNAVAILABLE -> END;
    };
  }
}
