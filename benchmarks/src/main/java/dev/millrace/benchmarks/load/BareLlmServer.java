package dev.millrace.benchmarks.load;

import static java.nio.charset.StandardCharsets.UTF_8;

import io.netty.bootstrap.ServerBootstrap;
import io.netty.buffer.ByteBuf;
import io.netty.buffer.Unpooled;
import io.netty.channel.ChannelHandlerContext;
import io.netty.channel.ChannelInitializer;
import io.netty.channel.EventLoopGroup;
import io.netty.channel.MultiThreadIoEventLoopGroup;
import io.netty.channel.SimpleChannelInboundHandler;
import io.netty.channel.nio.NioIoHandler;
import io.netty.channel.socket.SocketChannel;
import io.netty.channel.socket.nio.NioServerSocketChannel;
import io.netty.handler.codec.http.DefaultFullHttpResponse;
import io.netty.handler.codec.http.FullHttpRequest;
import io.netty.handler.codec.http.HttpObjectAggregator;
import io.netty.handler.codec.http.HttpResponseStatus;
import io.netty.handler.codec.http.HttpServerCodec;
import io.netty.handler.codec.http.HttpVersion;

/**
 * An engine for language models that costs next to nothing: answers chats with the same 600 bytes,
 * and streams with as many events as {@code max_tokens} says, as fast as they are taken.
 */
final class BareLlmServer {
  private static final byte[] ANSWER =
      "{\"id\":\"chatcmpl-1\",\"object\":\"chat.completion\",\"created\":1,\"model\":\"m\",\"choices\":[{\"index\":0,\"message\":{\"role\":\"assistant\",\"content\":\"%s\"},\"finish_reason\":\"stop\"}],\"usage\":{\"prompt_tokens\":20,\"completion_tokens\":60,\"total_tokens\":80}}"
          .formatted("a word ".repeat(55))
          .getBytes(UTF_8);
  private static final byte[] EVENT =
      chunk(
          "data: {\"id\":\"chatcmpl-1\",\"object\":\"chat.completion.chunk\",\"created\":1,\"model\":\"m\",\"choices\":[{\"index\":0,\"delta\":{\"content\":\" token\"},\"finish_reason\":null}]}\n\n");
  private static final byte[] END = chunk("data: [DONE]\n\n");
  private static final byte[] HEAD =
      "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream; charset=utf-8\r\nTransfer-Encoding: chunked\r\n\r\n"
          .getBytes(UTF_8);

  private BareLlmServer() {}

  private static byte[] chunk(String event) {
    return "%x\r\n%s\r\n".formatted(event.length(), event).getBytes(UTF_8);
  }

  /**
   * Serves until the process is ended.
   *
   * @param args the port
   */
  public static void main(String[] args) {
    EventLoopGroup loops = new MultiThreadIoEventLoopGroup(1, NioIoHandler.newFactory());
    new ServerBootstrap()
        .group(loops)
        .channel(NioServerSocketChannel.class)
        .childHandler(
            new ChannelInitializer<SocketChannel>() {
              @Override
              protected void initChannel(SocketChannel channel) {
                channel
                    .pipeline()
                    .addLast(
                        new HttpServerCodec(), new HttpObjectAggregator(1 << 20), new Handler());
              }
            })
        .bind("127.0.0.1", Integer.parseInt(args[0]))
        .syncUninterruptibly();
  }

  private static final class Handler extends SimpleChannelInboundHandler<FullHttpRequest> {
    /** Events that are still to be sent. */
    private int left;

    @Override
    protected void channelRead0(ChannelHandlerContext ctx, FullHttpRequest request) {
      String body = request.content().toString(UTF_8);
      if (body.contains("\"stream\":true")) {
        int at = body.indexOf("\"max_tokens\":") + 13;
        int end = at;
        while (Character.isDigit(body.charAt(end))) {
          end++;
        }
        left = Integer.parseInt(body.substring(at, end));
        // Past the encoder of HTTP, which would want to know of the head.
        var _ = ctx.pipeline().firstContext().write(Unpooled.wrappedBuffer(HEAD));
        more(ctx);
      } else {
        DefaultFullHttpResponse answer =
            new DefaultFullHttpResponse(
                HttpVersion.HTTP_1_1, HttpResponseStatus.OK, Unpooled.wrappedBuffer(ANSWER));
        answer.headers().set("content-type", "application/json");
        answer.headers().setInt("content-length", ANSWER.length);
        var _ = ctx.writeAndFlush(answer);
      }
    }

    /** Sends what fits, a few events at a time. */
    private void more(ChannelHandlerContext ctx) {
      while (left > 0 && ctx.channel().isWritable()) {
        ByteBuf events = ctx.alloc().buffer(8 * EVENT.length + END.length + 5);
        for (int i = 0; i < 8 && left > 0; i++, left--) {
          events.writeBytes(EVENT);
        }
        if (left == 0) {
          events.writeBytes(END).writeCharSequence("0\r\n\r\n", UTF_8);
        }
        var _ = ctx.pipeline().firstContext().writeAndFlush(events);
      }
    }

    @Override
    public void channelWritabilityChanged(ChannelHandlerContext ctx) {
      more(ctx);
    }
  }
}
