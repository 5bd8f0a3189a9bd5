package dev.millrace.logger;

import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.common.quota.ClientQuotaAlteration;
import org.apache.kafka.common.quota.ClientQuotaAlteration.Op;
import org.apache.kafka.common.quota.ClientQuotaEntity;

/**
 * A broker with the topic {@code log} in a process of its own, for {@code benchmarks/logging} and
 * for clients in other languages. Prints its address, and lives until it is killed.
 */
final class BrokerProcess {
  private BrokerProcess() {}

  /**
   * Serves.
   *
   * @param args an empty directory, and the bytes a second that it takes from a producer; none for
   *     as many as come
   */
  public static void main(String[] args) throws Exception {
    KafkaBroker broker = KafkaBroker.started(Path.of(args[0]));
    broker.createTopic(
        "log", 1, Map.of("retention.bytes", "268435456", "segment.bytes", "67108864"));
    if (args.length > 1) {
      try (Admin admin = broker.admin()) {
        // Null stands for every client that has no quota of its own.
        Map<String, String> everyClient = new java.util.HashMap<>();
        everyClient.put(ClientQuotaEntity.CLIENT_ID, null);
        admin
            .alterClientQuotas(
                List.of(
                    new ClientQuotaAlteration(
                        new ClientQuotaEntity(everyClient),
                        List.of(new Op("producer_byte_rate", Double.valueOf(args[1]))))))
            .all()
            .get();
      }
    }
    System.out.println("broker " + broker.address());
    System.out.flush();
    Thread.currentThread().join();
  }
}
