package dev.millrace.benchmarks.load;

import com.sun.management.ThreadMXBean;
import com.sun.tools.attach.AttachNotSupportedException;
import com.sun.tools.attach.VirtualMachine;
import java.io.IOException;
import java.lang.management.ManagementFactory;
import javax.management.remote.JMXConnector;
import javax.management.remote.JMXConnectorFactory;
import javax.management.remote.JMXServiceURL;

/**
 * Prints how many bytes of heap all threads of another JVM have allocated since it started, those
 * that have ended included. The difference of two calls over the requests between them is what a
 * request allocates; asking costs the other JVM some 100 KB.
 */
public final class AllocatedBytes {
  private AllocatedBytes() {}

  /**
   * Prints one number.
   *
   * @param args the process id of the other JVM
   */
  public static void main(String[] args) throws IOException, AttachNotSupportedException {
    if (args.length != 1) {
      throw new IllegalArgumentException("expected one argument, the process id");
    }
    VirtualMachine machine = VirtualMachine.attach(args[0]);
    String address;
    try {
      address = machine.startLocalManagementAgent();
    } finally {
      machine.detach();
    }
    try (JMXConnector connector = connect(address)) {
      ThreadMXBean threads =
          ManagementFactory.newPlatformMXBeanProxy(
              connector.getMBeanServerConnection(),
              ManagementFactory.THREAD_MXBEAN_NAME,
              ThreadMXBean.class);
      System.out.println(threads.getTotalThreadAllocatedBytes());
    }
  }

  @SuppressWarnings("BanJNDI") // the address is what the other JVM on this machine has just said
  private static JMXConnector connect(String address) throws IOException {
    return JMXConnectorFactory.connect(new JMXServiceURL(address));
  }
}
