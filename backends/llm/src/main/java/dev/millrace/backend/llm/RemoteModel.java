package dev.millrace.backend.llm;

import dev.millrace.api.ModelMetadata;
import dev.millrace.api.spi.Upstream;
import dev.millrace.api.spi.UpstreamModel;
import dev.millrace.api.spi.UpstreamPolicy;
import java.util.List;

/** A model whose upstreams are always the same ones, and somebody else's to run. */
record RemoteModel(ModelMetadata metadata, UpstreamPolicy policy, List<Upstream> upstreams)
    implements UpstreamModel {
  RemoteModel {
    upstreams = List.copyOf(upstreams);
  }

  @Override
  public void close() {}
}
