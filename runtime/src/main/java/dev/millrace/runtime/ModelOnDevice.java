package dev.millrace.runtime;

import dev.millrace.api.spi.Servable;
import dev.millrace.batcher.DeviceArbiter;

/**
 * A model in the memory of one of the devices that it runs on.
 *
 * @param placement its instances there
 * @param servable the model itself
 * @param share what it may use of the device
 */
record ModelOnDevice(Placement placement, Servable servable, DeviceArbiter.Share share) {}
