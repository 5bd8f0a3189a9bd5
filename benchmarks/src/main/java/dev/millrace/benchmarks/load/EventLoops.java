package dev.millrace.benchmarks.load;

import io.netty.channel.EventLoopGroup;
import io.netty.channel.MultiThreadIoEventLoopGroup;
import io.netty.channel.ServerChannel;
import io.netty.channel.epoll.Epoll;
import io.netty.channel.epoll.EpollIoHandler;
import io.netty.channel.epoll.EpollServerSocketChannel;
import io.netty.channel.nio.NioIoHandler;
import io.netty.channel.socket.nio.NioServerSocketChannel;

/** What a bare server accepts and reads with: epoll where there is any, one loop per CPU. */
record EventLoops(EventLoopGroup group, Class<? extends ServerChannel> channelType) {
  static EventLoops start() {
    int cpus = Runtime.getRuntime().availableProcessors();
    return Epoll.isAvailable()
        ? new EventLoops(
            new MultiThreadIoEventLoopGroup(cpus, EpollIoHandler.newFactory()),
            EpollServerSocketChannel.class)
        : new EventLoops(
            new MultiThreadIoEventLoopGroup(cpus, NioIoHandler.newFactory()),
            NioServerSocketChannel.class);
  }
}
