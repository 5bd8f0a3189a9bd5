/** Contract kits and fixtures for tests. */
@NullMarked
package dev.millrace.testing;

import org.jspecify.annotations.NullMarked;
