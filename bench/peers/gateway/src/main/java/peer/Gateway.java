package peer;

import io.vertx.core.AbstractVerticle;
import io.vertx.core.DeploymentOptions;
import io.vertx.core.Promise;
import io.vertx.core.Vertx;
import io.vertx.core.buffer.Buffer;
import io.vertx.core.http.HttpServerRequest;
import io.vertx.core.json.JsonObject;
import java.util.Properties;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.serialization.ByteArraySerializer;

/** One hop: a sale over HTTP, a record in Kafka that every replica has, 202. It counts nothing. */
public final class Gateway extends AbstractVerticle {
  private static final Buffer ACCEPTED = Buffer.buffer("{\"estado\":\"OK\"}");

  private final KafkaProducer<byte[], byte[]> producer;
  private final String topic;
  private final int port;

  private Gateway(KafkaProducer<byte[], byte[]> producer, String topic, int port) {
    this.producer = producer;
    this.topic = topic;
    this.port = port;
  }

  public static void main(String[] arguments) {
    var producer = new KafkaProducer<byte[], byte[]>(settings(System.getenv("KAFKA_BROKERS")));
    var topic = System.getenv("TOPIC");
    var port = Integer.parseInt(System.getenv("PORT"));
    var options = new DeploymentOptions().setInstances(Runtime.getRuntime().availableProcessors());
    Vertx.vertx().deployVerticle(() -> new Gateway(producer, topic, port), options).onFailure(cause -> {
      cause.printStackTrace();
      System.exit(70);
    });
  }

  private static Properties settings(String brokers) {
    var settings = new Properties();
    settings.put("bootstrap.servers", brokers);
    settings.put("acks", "all");
    settings.put("enable.idempotence", "true");
    settings.put("linger.ms", "0");
    settings.put("compression.type", "lz4");
    settings.put("key.serializer", ByteArraySerializer.class.getName());
    settings.put("value.serializer", ByteArraySerializer.class.getName());
    return settings;
  }

  @Override
  public void start(Promise<Void> started) {
    vertx.createHttpServer().requestHandler(this::take).listen(port, "127.0.0.1")
        .<Void>mapEmpty().onComplete(started);
  }

  private void take(HttpServerRequest request) {
    if (!"/venta".equals(request.path())) {
      request.response().setStatusCode(404).end();
      return;
    }
    request.body().onSuccess(body -> accept(request, body));
  }

  private void accept(HttpServerRequest request, Buffer body) {
    JsonObject sale;
    try {
      sale = new JsonObject(body);
    } catch (RuntimeException malformed) {
      request.response().setStatusCode(400).end();
      return;
    }
    if (!valid(sale)) {
      request.response().setStatusCode(422).end();
      return;
    }
    var context = vertx.getOrCreateContext();
    producer.send(new ProducerRecord<>(topic, body.getBytes()), (metadata, failure) ->
        context.runOnContext(ignored -> answer(request, failure)));
  }

  private static boolean valid(JsonObject sale) {
    var product = sale.getString("producto_id", "");
    var price = sale.getDouble("precio", -1.0);
    var quantity = sale.getInteger("cantidad_vendida", 0);
    return !product.isEmpty() && product.length() <= 128 && price >= 0 && price <= 1e7
        && quantity >= 1 && quantity <= 100_000 && sale.getValue("categoria") != null;
  }

  private static void answer(HttpServerRequest request, Exception failure) {
    var response = request.response().putHeader("content-type", "application/json");
    if (failure == null) {
      response.setStatusCode(202).end(ACCEPTED);
    } else {
      response.setStatusCode(503).end();
    }
  }
}
