# RabbitMQ with its plugins, for clusters without its operator.
#
# Its programs are shell scripts around Erlang, which itself calls `sh` and `df` to see how much disk is left.
{
  coreutils,
  dockerTools,
  rabbitmq-server,
  image,
  version,
}:
image {
  inherit version;
  name = "rabbitmq";
  description = "RabbitMQ ${rabbitmq-server.version}: rabbitmq-server, rabbitmqctl, rabbitmq-diagnostics";
  license = "MPL-2.0";
  contents = [
    coreutils
    dockerTools.binSh
    rabbitmq-server
  ];
  entrypoint = [ "/bin/rabbitmq-server" ];
  # Its log is its output, and what its nodes are called is in UTF-8.
  env = {
    LANG = "C.UTF-8";
    PATH = "/bin";
    RABBITMQ_LOGS = "-";
  };
  # Streams in the clear and over TLS, metrics.
  ports = [
    5552
    5551
    15692
  ];
}
