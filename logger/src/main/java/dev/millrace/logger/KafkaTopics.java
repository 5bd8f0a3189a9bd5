package dev.millrace.logger;

import static java.util.Objects.requireNonNull;

import dev.millrace.api.ErrorCode;
import dev.millrace.api.InferenceException;
import java.time.Duration;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.AdminClientConfig;
import org.apache.kafka.clients.admin.DescribeTopicsOptions;
import org.apache.kafka.clients.admin.NewTopic;
import org.apache.kafka.clients.admin.TopicDescription;
import org.apache.kafka.common.KafkaException;
import org.apache.kafka.common.acl.AclOperation;
import org.apache.kafka.common.errors.AuthenticationException;
import org.apache.kafka.common.errors.AuthorizationException;
import org.apache.kafka.common.errors.InvalidTopicException;
import org.apache.kafka.common.errors.TopicExistsException;
import org.apache.kafka.common.errors.UnknownTopicOrPartitionException;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Looks at a topic before anything is sent to it: whether it is there and may be written to; makes
 * it if that is wanted. Brokers that cannot be reached are no error: they may come.
 */
final class KafkaTopics {
  private static final Logger LOG = LoggerFactory.getLogger(KafkaTopics.class);

  private final Map<String, Object> admin;
  private final boolean create;
  private final int partitions;
  private final int replicas;
  private final Duration patience;

  /**
   * @param create whether a topic that is not there is made
   * @param patience how long to wait for brokers; zero not to look at all
   */
  KafkaTopics(
      Map<String, Object> admin, boolean create, int partitions, int replicas, Duration patience) {
    this.admin = new HashMap<>(admin);
    int millis = (int) Math.max(1, Math.min(60_000, patience.toMillis()));
    this.admin.putIfAbsent(AdminClientConfig.REQUEST_TIMEOUT_MS_CONFIG, Math.min(millis, 2000));
    this.admin.putIfAbsent(AdminClientConfig.DEFAULT_API_TIMEOUT_MS_CONFIG, millis);
    this.create = create;
    this.partitions = partitions;
    this.replicas = replicas;
    this.patience = patience;
  }

  /**
   * Looks at {@code topic}.
   *
   * @throws InferenceException FAILED_PRECONDITION if it is not there or must not be written to
   */
  void check(String topic) {
    if (patience.isZero()) {
      return;
    }
    try (Admin client = open()) {
      try {
        TopicDescription found = describe(client, topic);
        if (found.authorizedOperations() != null
            && !found.authorizedOperations().contains(AclOperation.WRITE)) {
          throw problem(
              "the topic '%s' must not be written to by this user".formatted(topic), null);
        }
        LOG.info(
            "the inference log goes to topic {} ({} partitions)", topic, found.partitions().size());
      } catch (ExecutionException e) {
        failed(client, topic, e.getCause() == null ? e : e.getCause());
      }
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      throw InferenceException.unavailable("interrupted while looking at the topic " + topic);
    } catch (TimeoutException e) {
      unreachable(topic, e);
    }
  }

  private Admin open() throws TimeoutException {
    try {
      return Admin.create(admin);
    } catch (KafkaException e) {
      if (KafkaSink.isUnresolvable(e)) {
        throw new TimeoutException(KafkaSink.reason(e));
      }
      throw InferenceException.invalidArgument(
          "the logger's Kafka settings do not do: " + KafkaSink.reason(e));
    }
  }

  private TopicDescription describe(Admin client, String topic)
      throws InterruptedException, ExecutionException, TimeoutException {
    return requireNonNull(
        client
            .describeTopics(
                List.of(topic), new DescribeTopicsOptions().includeAuthorizedOperations(true))
            .allTopicNames()
            .get(patience.toMillis(), TimeUnit.MILLISECONDS)
            .get(topic),
        "no description of the topic");
  }

  private void failed(Admin client, String topic, Throwable cause)
      throws InterruptedException, TimeoutException {
    switch (cause) {
      case UnknownTopicOrPartitionException _ when create -> make(client, topic);
      case UnknownTopicOrPartitionException _ ->
          throw problem(
              "the topic '%s' does not exist on %s: create it, or have it created by the setting"
                      .formatted(topic, brokers())
                  + " topic-create",
              cause);
      case AuthorizationException _ ->
          throw problem("not authorised for the topic '%s'".formatted(topic), cause);
      case AuthenticationException _ ->
          throw problem(
              "%s let nobody in as told: %s".formatted(brokers(), cause.getMessage()), cause);
      case InvalidTopicException _ ->
          throw problem("'%s' is not the name of a topic".formatted(topic), cause);
      default -> unreachable(topic, cause);
    }
  }

  private void make(Admin client, String topic) throws InterruptedException, TimeoutException {
    try {
      client
          .createTopics(List.of(new NewTopic(topic, partitions, (short) replicas)))
          .all()
          .get(patience.toMillis(), TimeUnit.MILLISECONDS);
      LOG.info(
          "made the topic {} for the inference log: {} partitions, {} replicas",
          topic,
          partitions,
          replicas);
    } catch (ExecutionException e) {
      Throwable cause = e.getCause() == null ? e : e.getCause();
      if (!(cause instanceof TopicExistsException)) { // somebody else was faster
        throw problem(
            "the topic '%s' cannot be created: %s".formatted(topic, cause.getMessage()), cause);
      }
    }
  }

  private void unreachable(String topic, Throwable cause) {
    LOG.warn(
        "Kafka at {} cannot be reached yet, so the topic {} is not checked: {}",
        brokers(),
        topic,
        cause.toString());
  }

  private Object brokers() {
    return admin.getOrDefault(AdminClientConfig.BOOTSTRAP_SERVERS_CONFIG, "");
  }

  private static InferenceException problem(String text, @Nullable Throwable cause) {
    return new InferenceException(
        ErrorCode.FAILED_PRECONDITION, "the inference log: " + text, cause);
  }
}
