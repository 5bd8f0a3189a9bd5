package dev.millrace.benchmarks.load;

import static io.netty.handler.codec.http.HttpHeaderNames.CONTENT_LENGTH;
import static io.netty.handler.codec.http.HttpHeaderNames.CONTENT_TYPE;
import static java.nio.charset.StandardCharsets.UTF_8;

import io.netty.bootstrap.ServerBootstrap;
import io.netty.buffer.ByteBuf;
import io.netty.buffer.Unpooled;
import io.netty.channel.Channel;
import io.netty.channel.ChannelHandlerContext;
import io.netty.channel.ChannelInitializer;
import io.netty.channel.ChannelOption;
import io.netty.channel.SimpleChannelInboundHandler;
import io.netty.handler.codec.http.DefaultFullHttpResponse;
import io.netty.handler.codec.http.FullHttpRequest;
import io.netty.handler.codec.http.HttpObjectAggregator;
import io.netty.handler.codec.http.HttpResponseStatus;
import io.netty.handler.codec.http.HttpServerCodec;
import io.netty.handler.codec.http.HttpVersion;
import java.io.IOException;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.Map;

/**
 * The least that an HTTP server on Netty can do for a request: read it whole and answer the bytes
 * that another server answered to the same request. No routing, no parsing, no model, no hand-off.
 */
public final class BareHttpServer {
  /** What every answer is made of. */
  private record Answer(ByteBuf body, Map<String, String> headers) {}

  private BareHttpServer() {}

  /**
   * Asks the origin once, then serves until killed.
   *
   * @param args port, URL of the origin, file of the request's body, and {@code name:value} of the
   *     request's headers
   */
  public static void main(String[] args) throws IOException, InterruptedException {
    if (args.length < 3) {
      throw new IllegalArgumentException("expected: port url request-file [header:value]...");
    }
    Answer answer = ask(args);
    EventLoops loops = EventLoops.start();
    ServerBootstrap bootstrap =
        new ServerBootstrap()
            .group(loops.group())
            .channel(loops.channelType())
            .option(ChannelOption.SO_BACKLOG, 1024)
            .childOption(ChannelOption.TCP_NODELAY, true)
            .childHandler(
                new ChannelInitializer<Channel>() {
                  @Override
                  protected void initChannel(Channel channel) {
                    channel
                        .pipeline()
                        .addLast(new HttpServerCodec())
                        .addLast(new HttpObjectAggregator(64 << 20))
                        .addLast(new AnswerHandler(answer));
                  }
                });
    Channel server = bootstrap.bind("127.0.0.1", Integer.parseInt(args[0])).sync().channel();
    System.out.printf("bare HTTP server: %d bytes an answer%n", answer.body().readableBytes());
    server.closeFuture().sync();
  }

  private static Answer ask(String[] args) throws IOException, InterruptedException {
    HttpRequest.Builder request =
        HttpRequest.newBuilder(URI.create(args[1]))
            .POST(HttpRequest.BodyPublishers.ofFile(Path.of(args[2])));
    for (int i = 3; i < args.length; i++) {
      String[] header = args[i].split(":", 2);
      request.header(header[0], header[1]);
    }
    try (HttpClient client = HttpClient.newHttpClient()) {
      HttpResponse<byte[]> response =
          client.send(request.build(), HttpResponse.BodyHandlers.ofByteArray());
      if (response.statusCode() != 200) {
        throw new IOException(
            "%s answered %d: %s"
                .formatted(args[1], response.statusCode(), new String(response.body(), UTF_8)));
      }
      Map<String, String> headers = new LinkedHashMap<>();
      response.headers().map().forEach((name, values) -> headers.put(name, values.getFirst()));
      headers.remove(CONTENT_LENGTH.toString());
      headers.putIfAbsent(CONTENT_TYPE.toString(), "application/json");
      ByteBuf body = Unpooled.directBuffer(response.body().length).writeBytes(response.body());
      return new Answer(Unpooled.unreleasableBuffer(body), headers);
    }
  }

  private static final class AnswerHandler extends SimpleChannelInboundHandler<FullHttpRequest> {
    private final Answer answer;

    AnswerHandler(Answer answer) {
      this.answer = answer;
    }

    @Override
    protected void channelRead0(ChannelHandlerContext context, FullHttpRequest request) {
      ByteBuf body = answer.body().duplicate();
      DefaultFullHttpResponse response =
          new DefaultFullHttpResponse(HttpVersion.HTTP_1_1, HttpResponseStatus.OK, body);
      answer.headers().forEach((name, value) -> response.headers().set(name, value));
      response.headers().setInt(CONTENT_LENGTH, body.readableBytes());
      var _ = context.write(response, context.voidPromise());
    }

    @Override
    public void channelReadComplete(ChannelHandlerContext context) {
      context.flush();
    }

    @Override
    public void exceptionCaught(ChannelHandlerContext context, Throwable cause) {
      var _ = context.close();
    }
  }
}
