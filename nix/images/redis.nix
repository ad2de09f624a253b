# Redis, for the weather that Kafka's consumer counts.
{
  redis,
  image,
  version,
}:
image {
  inherit version;
  name = "redis";
  description = "Redis ${redis.version}: redis-server, redis-cli";
  contents = [ redis ];
  entrypoint = [ "/bin/redis-server" ];
  ports = [ 6379 ];
}
