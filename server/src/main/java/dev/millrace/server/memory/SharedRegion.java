package dev.millrace.server.memory;

/**
 * A registered region.
 *
 * @param name what requests call it
 * @param key of the memory object
 * @param offset of the region in the object, in bytes
 * @param byteSize of the region
 */
public record SharedRegion(String name, String key, long offset, long byteSize) {}
